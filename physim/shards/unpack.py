"""Chunks from the disk into arrays, by several threads outside of HDF5."""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from zlib_ng import zlib_ng

from physim.errors import ShardError
from physim.shards.index import DEFLATE_LIMIT, ArrayIndex, ShardIndex, identity

BYTES_A_THREAD = 2**20
"""Raw bytes that are worth a thread of their own."""

BYTES_A_TASK = 2**20
TRUSTED_INFLATION = 2**28
"""A chunk that cannot unpack to more than this is unpacked in one call, then measured."""


@dataclass(frozen=True)
class Task:
    """Chunks of one shard, and where their rows go.

    `rows` and `places` are, for each chunk, the rows wanted of it and the rows of the output.
    """

    shard: ShardIndex
    array: ArrayIndex
    out: np.ndarray
    chunks: list[int]
    rows: list[Any]
    places: list[Any]


def run(tasks: list[Task], threads: int) -> None:
    """Do all tasks, the large reads in several threads; the first error is raised."""
    work = sum(len(t.chunks) * t.array.chunk * t.array.row_bytes for t in tasks)
    helpers = min(threads, len(tasks), work // BYTES_A_THREAD) - 1
    queue = deque(tasks)
    errors: list[BaseException] = []

    def drain() -> None:
        try:
            while not errors:
                try:
                    task = queue.popleft()
                except IndexError:
                    return
                _do(task)
        except BaseException as error:
            errors.append(error)

    others = [threading.Thread(target=drain, daemon=True) for _ in range(helpers)]
    for thread in others:
        thread.start()
    drain()
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]


def _do(task: Task) -> None:
    array, out = task.array, task.out
    try:
        descriptor = os.open(task.shard.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ShardError(f"{task.shard.path}: cannot be read ({error.strerror})") from error
    try:
        if identity(os.fstat(descriptor)) != task.shard.identity:
            raise ShardError(f"{task.shard.path}: has changed since it was opened; open it again")
        for chunk, rows, places in zip(task.chunks, task.rows, task.places, strict=True):
            data = os.pread(descriptor, int(array.sizes[chunk]), int(array.offsets[chunk]))
            out[places] = _unpacked(data, array, chunk, task.shard.path)[rows]
    except OSError as error:
        if isinstance(error, ShardError):
            raise
        raise ShardError(f"{task.shard.path}: cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)


def _unpacked(data: bytes, array: ArrayIndex, chunk: int, path: Path) -> np.ndarray:
    """The rows of one chunk, (chunk, *row)."""
    expected = array.chunk * array.row_bytes
    try:
        if len(data) * DEFLATE_LIMIT <= TRUSTED_INFLATION:
            plain = zlib_ng.decompress(data, bufsize=expected + 1)
        else:
            stream = zlib_ng.decompressobj()
            plain = stream.decompress(data, expected + 1)
            if not stream.eof:
                plain = b""
    except zlib_ng.error as error:  # type: ignore[misc]  # its stub says otherwise
        raise ShardError(_damage(array, chunk, path, str(error))) from error
    if len(plain) != expected:
        raise ShardError(_damage(array, chunk, path, f"not {expected} bytes"))
    shape = (array.chunk, *array.row)
    if array.dtype.itemsize == 1:
        return np.frombuffer(plain, dtype=array.dtype).reshape(shape)
    planes = np.frombuffer(plain, dtype=np.uint8).reshape(array.dtype.itemsize, -1)
    return np.ascontiguousarray(planes.T).view(array.dtype).reshape(shape)


def _damage(array: ArrayIndex, chunk: int, path: Path, reason: str) -> str:
    first = chunk * array.chunk
    last = first + array.chunk - 1
    return f"{path}: array {array.name} is damaged at rows {first} to {last} ({reason})"
