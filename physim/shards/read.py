"""Reading shards: lazy arrays over many files, chunks unpacked by several threads outside HDF5.

HDF5 reads one chunk after the other under one lock. Here its library is asked once a shard where
the chunks are (`physim.shards.index`); from then on a read is `pread` and inflate, both without
the GIL, in as many threads as there are cores. Nothing stays open between reads and no thread
outlives one, so that a split may be used after a fork, pickled into a spawned worker, and shared
by threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from physim import processors
from physim.errors import ShardError
from physim.shards.index import ArrayIndex, ShardIndex, read_index
from physim.shards.lazy import LazyArray
from physim.shards.unpack import BYTES_A_TASK, Task, run


class Split:
    """The trajectories of a split, over all of its shards; read when needed.

    `split.image[10:20]` reads frames, `split[3]` one trajectory as a dict, `split[10:20]` several.

    Arguments:
        name: Name of the split.
        paths: Its shards in order.
        lengths: Trajectories of each, as the manifest says.
        threads: Threads a large read may use; None for as many as there are cores for this
            process.

    Attributes:
        sibling: A split of the same data set, whose arrays this one has where it is empty.
    """

    sibling: Split | None = None

    def __init__(
        self, name: str, paths: Sequence[Path], lengths: Sequence[int], threads: int | None = None
    ) -> None:
        self.name = name
        self.paths = tuple(Path(path) for path in paths)
        self.threads = threads or processors.available()
        self._ends = np.cumsum(np.asarray(lengths, dtype=np.int64), dtype=np.int64)
        self._indices: list[ShardIndex | None] = [None] * len(self.paths)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __repr__(self) -> str:
        return f"<Split '{self.name}': {len(self)} trajectories in {len(self.paths)} shards>"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_indices": [None] * len(self.paths)}

    @property
    def starts(self) -> np.ndarray:
        """Number of the first trajectory of each shard, (shards,)."""
        return self._ends - np.diff(self._ends, prepend=0)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self.arrays)

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the first shard; where there is none, of one that there would be."""
        if not self.paths and self.sibling is not None:
            return {**self.sibling.attributes, "split": self.name}
        return dict(self.shard(0).attributes) if self.paths else {}

    @property
    def arrays(self) -> Mapping[str, ArrayIndex]:
        """The arrays of the first shard, by name; of the sibling's where there is none."""
        if self.paths:
            return self.shard(0).arrays
        return self.sibling.arrays if self.sibling is not None else {}

    def shard(self, number: int) -> ShardIndex:
        """The index of a shard, read when it is first needed.

        Arguments:
            number: Which one, from 0.

        Returns:
            Its index.

        Raises:
            ShardError: It is damaged, or differs from what the split should hold there.
        """
        found = self._indices[number]
        if found is None:
            found = read_index(self.paths[number])
            start, end = self.starts[number], self._ends[number]
            if found.trajectories != end - start:
                raise ShardError(
                    f"{found.path}: {found.trajectories} trajectories, expected {end - start}"
                )
            if number:
                _same_arrays(self.shard(0), found)
            self._indices[number] = found
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def array(self, name: str) -> LazyArray:
        """One array.

        Arguments:
            name: Its name; see `names`.

        Returns:
            An array that is read when it is indexed.

        Raises:
            KeyError: There is no array of that name.
        """
        if name not in self.names:
            raise KeyError(
                f"no array '{name}' in split '{self.name}'; expected {', '.join(self.names)}"
            )
        return LazyArray(self, name)

    def __getattr__(self, name: str) -> LazyArray:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self.array(name)
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.names})

    def __getitem__(self, key: Any) -> dict[str, np.ndarray]:
        """One trajectory (an integer) or several (slice, indices, mask), all arrays by name."""
        return self.read(key)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for batch in self.batches(50):
            for i in range(len(batch["index"])):
                yield {name: array[i] for name, array in batch.items()}

    def batches(
        self, size: int, names: Sequence[str] | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """Go through the split in order.

        Arguments:
            size: Trajectories per batch; the last one may have fewer.
            names: Which arrays; all where None.

        Yields:
            Arrays by name, first axis the trajectory.
        """
        if size < 1:
            raise ShardError(f"size: got {size}, expected a whole number from 1")
        for start in range(0, len(self), size):
            yield self.read(slice(start, start + size), names)

    def read(self, key: Any, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Read trajectories.

        Arguments:
            key: An integer, a slice, an array of indices or a mask; negative numbers count from
                the end.
            names: Which arrays; all where None.

        Returns:
            Arrays by name; without the first axis where `key` is an integer.

        Raises:
            IndexError: There is no such trajectory.
            ShardError: A shard is damaged.
        """
        rows, single = _rows(key, len(self))
        chosen = self.names if names is None else tuple(names)
        for name in chosen:
            self.array(name)
        outputs: dict[str, np.ndarray] = {}
        tasks: list[Task] = []
        for name in chosen:
            outputs[name] = self._plan(name, rows, tasks)
        run(tasks, self.threads)
        return {name: out[0] for name, out in outputs.items()} if single else outputs

    def _plan(self, name: str, rows: slice | np.ndarray, tasks: list[Task]) -> np.ndarray:
        """An empty output, and the tasks that will fill it."""
        first = self.arrays[name]
        count = len(rows) if isinstance(rows, np.ndarray) else max(0, rows.stop - rows.start)
        out = np.empty((count, *first.row), dtype=first.dtype)
        if isinstance(rows, slice):
            self._plan_range(name, rows.start, rows.stop, out, tasks)
        else:
            self._plan_rows(name, rows, out, tasks)
        return out

    def _plan_range(
        self, name: str, start: int, stop: int, out: np.ndarray, tasks: list[Task]
    ) -> None:
        position = start
        while position < stop:
            number = int(np.searchsorted(self._ends, position, side="right"))
            shard = self.shard(number)
            array = shard.arrays[name]
            base = int(self._ends[number]) - shard.trajectories
            low, high = position - base, min(stop - base, shard.trajectories)
            task = Task(shard, array, out, [], [], [])
            room = max(1, BYTES_A_TASK // (array.chunk * array.row_bytes))
            for chunk in range(low // array.chunk, -(-high // array.chunk)):
                begin, end = max(low, chunk * array.chunk), min(high, (chunk + 1) * array.chunk)
                task.chunks.append(chunk)
                task.rows.append(slice(begin - chunk * array.chunk, end - chunk * array.chunk))
                task.places.append(slice(base + begin - start, base + end - start))
                if len(task.chunks) == room:
                    tasks.append(task)
                    task = Task(shard, array, out, [], [], [])
            if task.chunks:
                tasks.append(task)
            position = base + high

    def _plan_rows(self, name: str, rows: np.ndarray, out: np.ndarray, tasks: list[Task]) -> None:
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        numbers = np.searchsorted(self._ends, ordered, side="right")
        for number in np.unique(numbers):
            shard = self.shard(int(number))
            array = shard.arrays[name]
            mine = slice(*np.searchsorted(numbers, [number, number + 1]))
            local = ordered[mine] - (self._ends[number] - shard.trajectories)
            chunks = local // array.chunk
            cuts = [0, *(np.flatnonzero(np.diff(chunks)) + 1).tolist(), len(chunks)]
            room = max(1, BYTES_A_TASK // (array.chunk * array.row_bytes))
            for group in range(0, len(cuts) - 1, room):
                ends = cuts[group : group + room + 1]
                pieces = [slice(a, b) for a, b in pairwise(ends)]
                tasks.append(
                    Task(
                        shard,
                        array,
                        out,
                        [int(chunks[piece.start]) for piece in pieces],
                        [local[piece] % array.chunk for piece in pieces],
                        [order[mine][piece] for piece in pieces],
                    )
                )


def _same_arrays(first: ShardIndex, other: ShardIndex) -> None:
    """All shards of a split have the same arrays."""
    ours = {name: (a.row, a.dtype) for name, a in first.arrays.items()}
    theirs = {name: (a.row, a.dtype) for name, a in other.arrays.items()}
    if ours != theirs:
        odd = sorted(
            name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
        )
        raise ShardError(f"{other.path}: array {odd[0]} differs from that in {first.path}")


def _rows(key: Any, n: int) -> tuple[slice | np.ndarray, bool]:
    """A first index as a slice or as indices from 0, and whether it was a single one."""
    if isinstance(key, slice):
        start, stop, step = key.indices(n)
        if step == 1:
            return slice(start, max(start, stop)), False
        return np.arange(start, stop, step, dtype=np.int64), False
    if isinstance(key, bool | np.bool_):
        raise IndexError("a single truth value chooses no trajectory")
    if isinstance(key, int | np.integer):
        if not -n <= key < n:
            raise IndexError(f"trajectory {key} of {n}")
        row = int(key) % n
        return slice(row, row + 1), True
    given = np.asarray(key)
    if given.dtype == bool:
        if given.shape != (n,):
            raise IndexError(f"a mask of shape {given.shape}, expected ({n},)")
        return np.flatnonzero(given).astype(np.int64), False
    if given.size == 0 and given.ndim == 1:
        return np.empty(0, dtype=np.int64), False
    if given.dtype.kind not in "iu" or given.ndim > 1:
        raise IndexError(f"got {key!r}, expected an integer, a slice, indices or a mask")
    asked = given.reshape(-1)
    outside = asked >= n  # before the cast, which wraps numbers of 64 bits without a sign
    if given.dtype.kind == "i":
        outside |= asked < -n
    if outside.any():
        raise IndexError(f"trajectory {asked[outside][0]} of {n}")
    rows = asked.astype(np.int64)
    rows = np.where(rows < 0, rows + n, rows)
    if given.ndim == 0:
        return slice(int(rows[0]), int(rows[0]) + 1), True
    return rows, False
