"""One shard: written chunk by chunk by one thread, under its name when whole.

`encode` does the slow part in any thread; `ShardWriter` only places finished chunks. The bytes of
a file depend on its arrays and attributes alone: not on how the trajectories were cut into blocks,
and not on the time of day.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from h5py._objects import phil

from physim.errors import ShardError
from physim.shards import format as layout
from physim.shards.atomic import DeferredFile, flushed, synced_folder, write_error
from physim.shards.encode import LEVEL, EncodedArray, EncodedBlock, Frames, deflated, encode

__all__ = [
    "EncodedBlock",
    "Frames",
    "ShardEntry",
    "ShardWriter",
    "checksum",
    "encode",
    "remove_parts",
]

TEMPORARY = ".part"


@dataclass(frozen=True)
class ShardEntry:
    """A finished shard.

    Attributes:
        name: Folder of the split and file name, `train/00000.h5`.
        bytes: Size of the file.
        trajectories: How many it holds.
        sha256: Of the file, 64 hexadecimal digits.
    """

    name: str
    bytes: int
    trajectories: int
    sha256: str


class _Chunk(NamedTuple):
    """A compressed chunk: rows `row` to `end` of an array."""

    end: int
    name: str
    row: int
    data: bytes


class ShardWriter:
    """Writes one shard, which appears in `finish`, whole and on the disk, or not at all.

    A renderer calls `append` for each block in order, then `finish`; or `abort` at any time. As a
    context manager it aborts unless it was finished.

    Arguments:
        path: Final name, `<out>/<split>/<number>.h5`; the folder exists.
        n: Trajectories of the shard.
        attributes: Those of `format.ATTRIBUTES` without `format` and `format_version`.
        units: Units by array, where the format's own are too general.
        descriptions: Descriptions by array, likewise.

    Raises:
        ShardError: The file cannot be written, or an attribute is missing or unknown.
    """

    def __init__(
        self,
        path: Path,
        n: int,
        attributes: Mapping[str, object],
        units: Mapping[str, str] | None = None,
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.n = n
        self._attributes = _checked_attributes(attributes)
        self._units = dict(units or {})
        self._descriptions = dict(descriptions or {})
        self._part = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}{TEMPORARY}")
        self._rows = 0
        self._arrays: dict[str, h5py.h5d.DatasetID] = {}
        self._pending: dict[str, list[np.ndarray]] = {}
        self._lengths: dict[str, int] = {}
        self._placed: dict[str, int] = {}
        try:
            self._file = DeferredFile(self._part)
        except OSError as error:
            raise write_error(self.path, error) from error
        self._hdf5: h5py.File | None = None
        try:
            self._hdf5 = h5py.File(self._file, "w", libver=layout.LIBVER)
            self._file.raise_deferred()
        except (OSError, RuntimeError) as error:
            self.abort()
            raise write_error(self.path, self._file.error or error) from error

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def append(self, block: EncodedBlock) -> None:
        """Write the next block.

        Arguments:
            block: From `encode`, with the `n` of this shard; starts where the last one ended.

        Raises:
            ShardError: The file cannot be written; what was written of it is gone.
        """
        if self._hdf5 is None or block.start != self._rows or block.start + block.rows > self.n:
            raise ValueError(
                f"{self.path}: block {block.start}+{block.rows} of {self.n} after {self._rows}"
            )
        with self._cleaning():
            if not self._arrays:
                self._create(block)
            self._place([chunk for name in self._arrays for chunk in self._whole(name, block)])
        self._rows += block.rows

    def finish(self) -> ShardEntry:
        """Close, flush to the disk and give the file its name.

        Returns:
            Name, size, number of trajectories and checksum.

        Raises:
            ShardError: The file cannot be written; nothing of it is left.
        """
        if self._hdf5 is None or self._rows != self.n:
            raise ValueError(f"{self.path}: {self._rows} of {self.n} trajectories were written")
        with self._cleaning():
            self._place([chunk for name in self._arrays for chunk in self._rest(name)])
            self._hdf5.close()
            self._hdf5 = None
            self._file.raise_deferred()
            size, digest = self._file.checksum()
            flushed(self._file.descriptor)
            self._file.close()
            os.replace(self._part, self.path)
            synced_folder(self.path.parent)
        return ShardEntry(f"{self.path.parent.name}/{self.path.name}", size, self.n, digest)

    def abort(self) -> None:
        """Leave nothing behind; does nothing after `finish`."""
        self._file.discard()
        if self._hdf5 is not None:
            with contextlib.suppress(Exception):
                self._hdf5.close()
            self._hdf5 = None
        self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()

    @contextlib.contextmanager
    def _cleaning(self):  # noqa: ANN202
        """Turn whatever the disk does into one sentence, and take the unfinished file away."""
        try:
            yield
            self._file.raise_deferred()
        except BaseException as error:
            cause = self._file.error or error
            self.abort()
            if isinstance(cause, OSError | RuntimeError) and not isinstance(cause, ShardError):
                raise write_error(self.path, cause) from error
            raise

    def _create(self, block: EncodedBlock) -> None:
        """Attributes and empty arrays, in the order of the format."""
        assert self._hdf5 is not None  # noqa: S101 - for the type checker
        root = self._hdf5
        _put_text(root, "format", layout.FORMAT)
        root.attrs["format_version"] = np.int64(layout.FORMAT_VERSION)
        for name, value in self._attributes.items():
            if isinstance(value, str):
                _put_text(root, name, value)
            else:
                root.attrs[name] = value
        parameters = str(self._attributes["parameters"]).split()
        order = [array.name for array in layout.ARRAYS] + parameters
        required = {a.name for a in layout.ARRAYS if a.presence == "always"} | set(parameters)
        if not required <= set(block.arrays) <= set(order):
            odd = sorted((required - set(block.arrays)) | (set(block.arrays) - set(order)))
            raise ShardError(
                f"{self.path}: arrays {', '.join(odd)} are missing or not in the format"
            )
        for name in sorted(block.arrays, key=order.index):
            self._create_array(name, block.arrays[name])

    def _create_array(self, name: str, array: EncodedArray) -> None:
        assert self._hdf5 is not None  # noqa: S101
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((array.chunk, *array.row))
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        properties.set_obj_track_times(False)
        if array.dtype.itemsize > 1:
            properties.set_shuffle()
        properties.set_deflate(LEVEL)
        space = h5py.h5s.create_simple((self.n, *array.row))
        kind = h5py.h5t.py_create(array.dtype)
        dataset = h5py.h5d.create(self._hdf5.id, name.encode(), kind, space, properties)
        spec = layout.find(name, components=bool(array.row))
        owner = h5py.Dataset(dataset)
        _put_text(owner, "dimensions", " ".join(spec.dimensions))
        _put_text(owner, "unit", self._units.get(name, spec.unit))
        about = self._descriptions.get(name, spec.description)
        _put_text(owner, "description", about)
        self._arrays[name] = dataset
        self._pending[name] = []
        self._lengths[name] = array.chunk
        self._placed[name] = 0

    def _whole(self, name: str, block: EncodedBlock) -> list[_Chunk]:
        """The chunks of an array that are complete with this block."""
        array = block.arrays[name]
        found = self._held(name, array.head)
        for data in array.chunks:
            found.append(self._numbered(name, data))
        return found + self._held(name, array.tail)

    def _held(self, name: str, rows: np.ndarray) -> list[_Chunk]:
        """Keep rows until they fill a chunk."""
        if len(rows):
            self._pending[name].append(rows)
        full = sum(map(len, self._pending[name])) == self._lengths[name]
        return self._rest(name) if full else []

    def _rest(self, name: str) -> list[_Chunk]:
        """What is held of an array as a chunk, whole or the last one."""
        held, self._pending[name] = self._pending[name], []
        if not held:
            return []
        return [self._numbered(name, deflated(np.concatenate(held), self._lengths[name]))]

    def _numbered(self, name: str, data: bytes) -> _Chunk:
        row = self._placed[name] * self._lengths[name]
        self._placed[name] += 1
        return _Chunk(row + self._lengths[name], name, row, data)

    def _place(self, chunks: list[_Chunk]) -> None:
        """Write chunks by their last row, so that the file is the same for any size of block."""
        for chunk in sorted(chunks, key=lambda chunk: chunk.end):
            dataset = self._arrays[chunk.name]
            with phil:  # before 3.16 h5py calls the library here while other threads may, too
                dataset.write_direct_chunk((chunk.row,) + (0,) * (dataset.rank - 1), chunk.data)


def _put_text(owner: h5py.HLObject, name: str, text: str) -> None:
    """A string of fixed length.

    Those of variable length lie in a heap without a checksum, where a damaged file can make the
    HDF5 library loop forever.
    """
    data = text.encode()
    kind = h5py.string_dtype("utf-8", max(1, len(data)))
    owner.attrs.create(name, np.array(data, dtype=kind), dtype=kind)


def _checked_attributes(given: Mapping[str, object]) -> dict[str, object]:
    """Attributes in the order of the format, each of its kind."""
    kinds = {a.name: a.kind for a in layout.ATTRIBUTES if not a.name.startswith("format")}
    if set(given) != set(kinds):
        odd = ", ".join(sorted(set(given) ^ set(kinds)))
        raise ShardError(f"attributes: {odd}: missing or unknown; expected {', '.join(kinds)}")
    found: dict[str, object] = {}
    for name, kind in kinds.items():
        value = given[name]
        if kind == "string":
            found[name] = str(value)
        elif kind == "integer":
            found[name] = np.int64(int(str(value)))
        else:
            found[name] = np.ascontiguousarray(value, dtype="<f8")
    return found


def remove_parts(folder: Path) -> None:
    """Take away what renderers that were killed left in a folder; only under the folder's lock.

    Arguments:
        folder: Folder of a split.
    """
    for part in Path(folder).glob(f".*{TEMPORARY}"):
        part.unlink(missing_ok=True)


def checksum(path: Path) -> str:
    """SHA-256 of a file.

    Arguments:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
