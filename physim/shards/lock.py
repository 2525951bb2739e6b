"""One renderer a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from physim.errors import ShardError
from physim.shards.atomic import write_error

LOCK = ".lock"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the kernel drops it with the process, however that ends.

    Arguments:
        folder: Folder of a data set; exists.

    Raises:
        ShardError: Another process holds it, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(Path(folder) / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ShardError(
            f"{folder}: another process is rendering into this folder; "
            "wait for it or choose another --out"
        ) from None
    except OSError as error:
        raise write_error(Path(folder) / LOCK, error) from error
    try:
        yield
    finally:
        lock.release()
