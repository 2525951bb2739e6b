"""What is in a shard and where, read once through HDF5 and checked as if a stranger had made it.

After this HDF5 is not needed any more: the index holds where each compressed chunk lies in the
file. Nothing is followed, unpickled or allocated on the word of the file: links other than hard
ones, virtual and external storage, filters other than shuffle and deflate, other element types,
chunks outside the file, on top of each other or larger than deflate can unpack are refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5o, h5s, h5t, h5z

from physim.errors import ShardError
from physim.shards import format as layout

DEFLATE_LIMIT = 1032
"""The most that deflate can expand a byte to."""

MAX_ATTRIBUTE_BYTES = 2**24


@dataclass(frozen=True)
class ArrayIndex:
    """Where the chunks of an array are.

    Attributes:
        name: Name of the array.
        dtype: Element type.
        row: Shape of one trajectory's part.
        chunk: Trajectories per chunk.
        offsets: Where each chunk begins in the file, (chunks,) int64.
        sizes: Compressed bytes of each chunk, (chunks,) int64.
        attributes: `dimensions`, `unit` and `description`.
    """

    name: str
    dtype: np.dtype
    row: tuple[int, ...]
    chunk: int
    offsets: np.ndarray
    sizes: np.ndarray
    attributes: Mapping[str, str]

    @property
    def row_bytes(self) -> int:
        """Raw bytes of one trajectory."""
        return math.prod(self.row) * self.dtype.itemsize


@dataclass(frozen=True)
class ShardIndex:
    """One shard.

    Attributes:
        path: The file.
        identity: Device, inode, size and time of change when the index was read.
        trajectories: How many it holds.
        attributes: Those of the root.
        arrays: By name, in the order of the format.
    """

    path: Path
    identity: tuple[int, ...]
    trajectories: int
    attributes: Mapping[str, Any]
    arrays: Mapping[str, ArrayIndex]


def identity(status: os.stat_result) -> tuple[int, ...]:
    """What tells a file from another one, and from itself after a change."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def read_index(path: Path) -> ShardIndex:
    """Read and check the index of a shard.

    Arguments:
        path: The file.

    Returns:
        Its index.

    Raises:
        ShardError: The file is missing, damaged, not ours, or not safe to read.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ShardError(f"{path}: there is no such file")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if file.read(len(layout.SIGNATURE)) != layout.SIGNATURE:
                raise ShardError(f"{path}: not an HDF5 file")
            # A file by name would be locked, or refused where this process has it open and locked.
            with h5py.File(file, "r", rdcc_nbytes=0) as hdf5:
                attributes = _root_attributes(hdf5, path)
                arrays = _arrays(hdf5, path, attributes, status.st_size)
    except ShardError:
        raise
    except Exception as error:  # h5py raises many types for damage
        raise ShardError(f"{path}: damaged or not a shard ({_first_line(error)})") from error
    lengths = {n for n, _ in arrays.values()}
    if len(lengths) != 1:
        raise ShardError(f"{path}: arrays of {sorted(lengths)} trajectories, expected one number")
    found = {name: array for name, (_, array) in arrays.items()}
    return ShardIndex(path, identity(status), lengths.pop(), attributes, found)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _root_attributes(hdf5: h5py.File, path: Path) -> dict[str, Any]:
    names = {a.name for a in layout.ATTRIBUTES}
    if "format" not in hdf5.attrs or _text(hdf5.id, "format", path) != layout.FORMAT:
        raise ShardError(
            f"{path}: not a shard of physim (no attribute format = '{layout.FORMAT}')"
        )
    version = _integer(hdf5.id, "format_version", path)
    if version != layout.FORMAT_VERSION:
        raise ShardError(
            f"{path}: format_version {version}, this program reads {layout.FORMAT_VERSION}; "
            "use a version of physim that knows it"
        )
    missing = sorted(name for name in names if name not in hdf5.attrs)
    if missing:
        raise ShardError(f"{path}: attribute {missing[0]} is missing")
    readers = {"string": _text, "integer": _integer, "floats": _floats}
    return {a.name: readers[a.kind](hdf5.id, a.name, path) for a in layout.ATTRIBUTES}


def _attribute(owner: Any, name: str, path: Path) -> h5a.AttrID:
    attribute = h5a.open(owner, name.encode())
    if attribute.get_storage_size() > MAX_ATTRIBUTE_BYTES:
        raise ShardError(f"{path}: attribute {name} is larger than 16 MiB")
    return attribute


def _text(owner: Any, name: str, path: Path) -> str:
    attribute = _attribute(owner, name, path)
    kind = attribute.get_type()
    if (
        kind.get_class() != h5t.STRING
        or kind.is_variable_str()  # lies in a heap, where a damaged file could trap the library
        or attribute.get_space().get_simple_extent_type() != h5s.SCALAR
    ):
        raise ShardError(f"{path}: attribute {name} is not a string of fixed length")
    value = np.zeros((), dtype=kind.dtype)
    attribute.read(value)
    return bytes(value[()]).rstrip(b"\0").decode("utf-8", "replace")


def _integer(owner: Any, name: str, path: Path) -> int:
    attribute = _attribute(owner, name, path)
    if attribute.get_type().get_class() != h5t.INTEGER or attribute.shape != ():
        raise ShardError(f"{path}: attribute {name} is not an integer")
    value = np.zeros((), dtype=np.int64)
    attribute.read(value)
    return int(value)


def _floats(owner: Any, name: str, path: Path) -> np.ndarray:
    attribute = _attribute(owner, name, path)
    if attribute.get_type().get_class() != h5t.FLOAT or len(attribute.shape) != 1:
        raise ShardError(f"{path}: attribute {name} is not a list of numbers")
    value = np.zeros(attribute.shape, dtype=np.float64)
    if value.size:
        attribute.read(value)
    return value


def _arrays(
    hdf5: h5py.File, path: Path, attributes: Mapping[str, Any], file_size: int
) -> dict[str, tuple[int, ArrayIndex]]:
    links = hdf5.id.links
    if len(hdf5) > layout.MAX_ARRAYS:
        raise ShardError(f"{path}: {len(hdf5)} entries, expected at most {layout.MAX_ARRAYS}")
    parameters = attributes["parameters"].split()
    for symbol in parameters:
        if not layout.is_parameter(symbol):
            raise ShardError(
                f"{path}: attribute parameters: got {symbol[:40]!r}, expected a symbol"
            )
    order = [a.name for a in layout.ARRAYS] + parameters
    present = [name.decode("utf-8", "replace") for name in hdf5.id]
    for name in present:
        if name not in order:
            raise ShardError(f"{path}: array {name[:40]!r} is not in the format")
    required = [a.name for a in layout.ARRAYS if a.presence == "always"] + parameters
    for name in required:
        if name not in present:
            raise ShardError(f"{path}: array {name} is missing")
    found = {}
    for name in sorted(present, key=order.index):
        if links.get_info(name.encode()).type != h5l.TYPE_HARD:
            raise ShardError(f"{path}: {name} is a link to elsewhere, expected an array")
        dataset = h5o.open(hdf5.id, name.encode())
        if not isinstance(dataset, h5d.DatasetID):
            raise ShardError(f"{path}: {name} is not an array")
        found[name] = _array(dataset, name, path, file_size, len(attributes["times"]))
    _disjoint([array for _, array in found.values()], path)
    return found


def _array(
    dataset: h5d.DatasetID, name: str, path: Path, file_size: int, frames: int
) -> tuple[int, ArrayIndex]:
    where = f"{path}: array {name}"
    shape = dataset.shape
    spec = layout.find(name, components=len(shape) > 1)
    dtype = np.dtype(spec.dtype)
    kind = dataset.get_type()
    if kind.get_class() not in (h5t.INTEGER, h5t.FLOAT) or kind.dtype != dtype:
        raise ShardError(f"{where}: the element type is not {spec.dtype}")
    if len(shape) != len(spec.dimensions) or not 1 <= shape[0] <= layout.MAX_TRAJECTORIES:
        raise ShardError(f"{where}: got shape {shape}, expected ({', '.join(spec.dimensions)})")
    if "time" in spec.dimensions and shape[1] != frames:
        raise ShardError(f"{where}: {shape[1]} frames, but times has {frames}")
    row = shape[1:]
    properties = dataset.get_create_plist()
    if properties.get_layout() != h5d.CHUNKED or properties.get_external_count():
        raise ShardError(f"{where}: not stored in chunks of this file")
    chunk = properties.get_chunk()
    chunk_bytes = math.prod(chunk) * dtype.itemsize
    if chunk[1:] != row or not 0 < chunk_bytes <= layout.MAX_CHUNK_BYTES:
        raise ShardError(
            f"{where}: got chunks of {chunk}, expected whole trajectories below 2 GiB"
        )
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    expected = [h5z.FILTER_SHUFFLE] * (dtype.itemsize > 1) + [h5z.FILTER_DEFLATE]
    if filters != expected:
        raise ShardError(f"{where}: filters {filters}, expected {expected} (2 shuffle, 1 deflate)")
    offsets, sizes = _chunks(dataset, shape[0], chunk, where)
    if (offsets < 0).any() or (sizes <= 0).any() or (offsets + sizes > file_size).any():
        raise ShardError(f"{where}: a chunk lies outside the file")
    if (sizes < chunk_bytes // DEFLATE_LIMIT).any():
        raise ShardError(f"{where}: a chunk is too small to hold {chunk_bytes} bytes")
    texts = {a.name: _text(dataset, a.name, path) for a in layout.ARRAY_ATTRIBUTES}
    return shape[0], ArrayIndex(name, dtype, row, chunk[0], offsets, sizes, texts)


def _chunks(
    dataset: h5d.DatasetID, n: int, chunk: tuple[int, ...], where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Offset and size of each chunk, in order; exactly one a place and none left out."""
    count = -(-n // chunk[0])
    stored = dataset.get_num_chunks()
    if stored != count:
        raise ShardError(f"{where}: {stored} chunks, expected {count}")
    offsets = np.full(count, -1, dtype=np.int64)
    sizes = np.zeros(count, dtype=np.int64)
    odd: list[str] = []

    def note(info: Any) -> None:
        corner = info.chunk_offset
        number, rest = divmod(corner[0], chunk[0])
        if rest or any(corner[1:]) or not 0 <= number < count or offsets[number] >= 0:
            odd.append(f"a chunk at {corner}")
        elif info.filter_mask:
            odd.append("a chunk without its filters")
        elif info.byte_offset >= 2**62 or info.size >= 2**31:
            odd.append("a chunk outside the file")
        else:
            offsets[number], sizes[number] = info.byte_offset, info.size

    dataset.chunk_iter(note)
    if odd:
        raise ShardError(f"{where}: {odd[0]}")
    return offsets, sizes


def _disjoint(arrays: list[ArrayIndex], path: Path) -> None:
    """No byte belongs to two chunks, so that a file unpacks to no more than deflate allows."""
    offsets = np.concatenate([array.offsets for array in arrays])
    sizes = np.concatenate([array.sizes for array in arrays])
    order = np.argsort(offsets, kind="stable")
    if (offsets[order][:-1] + sizes[order][:-1] > offsets[order][1:]).any():
        raise ShardError(f"{path}: chunks lie on top of each other")
