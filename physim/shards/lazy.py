"""Arrays that are read when they are indexed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from physim.shards.read import Split


class LazyArray:
    """An array of a split, read when it is indexed.

    The first index chooses trajectories (integer, slice, indices or mask); further ones apply to
    what was read. `numpy.asarray` reads all of it.

    Attributes:
        name: Its name.
        shape: With the trajectory as first axis.
        dtype: Element type.
        dimensions: Names of the axes.
        unit: Unit of the values.
        description: One line.
    """

    def __init__(self, split: Split, name: str) -> None:
        index = split.arrays[name]
        self._split = split
        self.name = name
        self.shape: tuple[int, ...] = (len(split), *index.row)
        self.dtype = index.dtype
        self.dimensions = tuple(index.attributes["dimensions"].split())
        self.unit = index.attributes["unit"]
        self.description = index.attributes["description"]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes when all of it is read."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<LazyArray '{self.name}': {self.dtype} {self.shape}>"

    def __getitem__(self, key: Any) -> Any:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        if isinstance(key, tuple) and not key:
            first = slice(None)
        if first is Ellipsis:
            first, rest = slice(None), key if isinstance(key, tuple) else ()
        elif first is None:
            raise IndexError("a new axis is not supported before reading; index the result")
        read = self._split.read(first, [self.name])[self.name]
        if not rest:
            return read
        axis = () if np.ndim(read) < self.ndim else (slice(None),)
        return read[rest] if rest[0] is Ellipsis else read[(*axis, *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"{self.name} is on disk, an array of it is always a copy")
        return np.asarray(self[:], dtype=dtype)
