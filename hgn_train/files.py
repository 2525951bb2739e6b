"""Files that appear whole or not at all, and one sentence where the system refuses."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from physim.errors import PhysimError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say which file cannot be written.

    Arguments:
        path: The file, or folder, that is written meanwhile.

    Raises:
        PhysimError: The disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise PhysimError(f"{path}: cannot be written ({error.strerror or error})") from None


@contextlib.contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes its name when it is on the disk as a whole.

    Arguments:
        path: Its name; a file that has it stays untouched until then, and after a failure.

    Raises:
        PhysimError: As `writing`.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with writing(path):
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        _sync(path.parent)


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all.

    Arguments:
        path: Its name.
        content: What is in it; text as UTF-8.

    Raises:
        PhysimError: As `writing`.
    """
    with written(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
