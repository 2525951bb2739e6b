"""Blocks of trajectories, filtered and compressed as HDF5 would, outside of its lock.

Pure functions that release the GIL, so that several threads can prepare what one thread writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from physim.errors import ShardError
from physim.shards import deflate
from physim.shards import format as layout

LEVEL = 1
"""Of deflate, as the files say: fast. A reader needs no level."""

SYMBOLS_OF_FRAMES = 1 << 15
"""Symbols that share Huffman codes: frames are alike throughout."""

SYMBOLS_OF_NUMBERS = 1 << 13
"""The same for shuffled numbers, whose eight planes of bytes differ."""


DRAWN_AT_ONCE = 2**20
"""Bytes of frames that are drawn before they are compressed: what stays in a core's cache."""


@dataclass(frozen=True)
class Frames:
    """Frames that are drawn when they are to be compressed.

    Attributes:
        row: Shape of one trajectory's.
        draw: Those of the rows of the block from the first to one before the second argument, in
            memory that the next call may use again.
    """

    row: tuple[int, ...]
    draw: Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class EncodedArray:
    """A block of one array: whole chunks compressed, what sticks out at both ends as it was.

    Attributes:
        dtype: Element type.
        row: Shape of one trajectory's part.
        chunk: Trajectories per chunk.
        head: Rows before the first whole chunk.
        chunks: Whole chunks, filtered.
        tail: Rows after the last whole chunk.
    """

    dtype: np.dtype
    row: tuple[int, ...]
    chunk: int
    head: np.ndarray
    chunks: tuple[bytes, ...]
    tail: np.ndarray


@dataclass(frozen=True)
class EncodedBlock:
    """Some trajectories, ready to be written.

    Attributes:
        start: Row of the shard where they begin.
        rows: How many they are.
        arrays: By name.
    """

    start: int
    rows: int
    arrays: Mapping[str, EncodedArray]


def deflated(rows: np.ndarray, chunk: int) -> bytes:
    """The bytes of one chunk after HDF5's shuffle and deflate filters.

    Arguments:
        rows: At most `chunk` rows; the rest of the chunk is zeros.
        chunk: Rows of a whole chunk.

    Returns:
        A zlib stream.
    """
    if len(rows) < chunk:
        whole = np.zeros((chunk, *rows.shape[1:]), dtype=rows.dtype)
        whole[: len(rows)] = rows
        rows = whole
    plain = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
    size = rows.dtype.itemsize
    if size > 1:
        plain = np.ascontiguousarray(plain.reshape(-1, size).T).reshape(-1)
        return deflate.compress(plain, (1,), 1, SYMBOLS_OF_NUMBERS)
    *_, height, width, channels = rows.shape
    line = width * channels
    return deflate.compress(plain, (channels, line, height * line), channels, SYMBOLS_OF_FRAMES)


def encode(
    block: Mapping[str, np.ndarray], start: int, n: int, frames: Frames | None = None
) -> EncodedBlock:
    """Compress a block of trajectories; any thread, nothing of `block` is kept.

    Arguments:
        block: Arrays of the format by name, first axis the trajectory.
        start: Row of the shard where the block begins.
        n: Trajectories of the whole shard.
        frames: What draws `image`, where it is not in `block`.

    Returns:
        What `ShardWriter.append` takes.

    Raises:
        ShardError: An array that the format does not have, of the wrong type or shape.

    Example:
        >>> frames = np.zeros((11, 30, 32, 32, 3), dtype=np.uint8)
        >>> image = encode({"image": frames}, start=0, n=11).arrays["image"]
        >>> image.chunk, len(image.chunks), len(image.tail)
        (10, 1, 1)
    """
    rows = {len(array) for array in block.values()}
    if len(rows) != 1:
        raise ShardError(f"block: arrays of {sorted(rows)} trajectories, expected one number")
    arrays = {name: _encoded(name, array, start, n) for name, array in block.items()}
    if frames:
        arrays["image"] = _drawn(frames, min(rows), start, n)
    return EncodedBlock(start, rows.pop(), arrays)


def _encoded(name: str, array: np.ndarray, start: int, n: int) -> EncodedArray:
    _check(name, array)
    row = array.shape[1:]
    chunk = layout.chunk_length(name, array.dtype, row, n)
    first = min(-start % chunk, len(array))
    whole = (len(array) - first) // chunk
    last = first + whole * chunk
    chunks = tuple(deflated(array[i : i + chunk], chunk) for i in range(first, last, chunk))
    return EncodedArray(array.dtype, row, chunk, array[:first].copy(), chunks, array[last:].copy())


def _drawn(frames: Frames, rows: int, start: int, n: int) -> EncodedArray:
    """`_encoded` of frames that do not exist yet."""
    kind = np.dtype(np.uint8)
    chunk = layout.chunk_length("image", kind, frames.row, n)
    first = min(-start % chunk, rows)
    last = rows - (rows - first) % chunk
    step = max(1, DRAWN_AT_ONCE // (chunk * math.prod(frames.row))) * chunk
    head = frames.draw(0, first).copy()
    _check("image", head)
    chunks: list[bytes] = []
    for begin in range(first, last, step):
        part = frames.draw(begin, min(begin + step, last))
        chunks += [deflated(part[i : i + chunk], chunk) for i in range(0, len(part), chunk)]
    tail = frames.draw(last, rows).copy()
    return EncodedArray(kind, frames.row, chunk, head, tuple(chunks), tail)


def _check(name: str, array: np.ndarray) -> None:
    spec = layout.find(name, components=array.ndim > 1)
    known = spec in layout.ARRAYS or layout.is_parameter(name)
    if not known or array.dtype != np.dtype(spec.dtype) or array.ndim != len(spec.dimensions):
        raise ShardError(
            f"array '{name}': got {array.dtype} with {array.ndim} axes, "
            f"expected {spec.dtype} with axes {', '.join(spec.dimensions)}"
        )
    if array[:1].nbytes > layout.MAX_CHUNK_BYTES:
        raise ShardError(
            f"array '{name}': {array[:1].nbytes} bytes per trajectory, expected at most 2 GiB"
        )
