"""Whether a shard is the file that the manifest lists, and where it is damaged if not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from physim.errors import ShardError
from physim.shards.index import ShardIndex
from physim.shards.manifest import Shard
from physim.shards.read import Split
from physim.shards.write import checksum


def changed(path: Path, shard: Shard) -> str:
    """How a file differs from what the manifest says.

    Arguments:
        path: The file.
        shard: Its entry.

    Returns:
        One sentence, or nothing where it is the same to the last bit.

    Raises:
        ShardError: It is missing or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size != shard.bytes:
            return f"{size} bytes, the manifest says {shard.bytes}"
        if checksum(path) != shard.sha256:
            return "the checksum is not that of the manifest"
    except FileNotFoundError:
        raise ShardError("is missing") from None
    except OSError as error:
        raise ShardError(f"cannot be read ({error.strerror})") from None
    return ""


def unreadable(split: Split, index: ShardIndex) -> Iterator[tuple[int, str]]:
    """Look for chunks that do not unpack.

    Arguments:
        split: The shard alone.
        index: Its index.

    Yields:
        First row of the chunk, and what is wrong with it.
    """
    for name, array in index.arrays.items():
        for start in range(0, index.trajectories, array.chunk):
            try:
                split.read(slice(start, start + array.chunk), [name])
            except ShardError as error:
                yield start, str(error)
