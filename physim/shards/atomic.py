"""Files that appear whole or not at all, and what is said when the disk refuses."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from physim.errors import ShardError


class DeferredFile:
    """A file for HDF5 to write to, whose failures wait.

    An HDF5 library that cannot write can neither flush nor close, and says so in pages. This
    object remembers the first failure, takes everything that follows without writing it, and lets
    HDF5 close; then the failure is raised once.

    Arguments:
        path: File to be created.

    Attributes:
        descriptor: Of the open file.
        error: The first failure, or None.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self.error: OSError | None = None
        self._discarding = False
        self._position = 0
        self._size = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as `io.IOBase.seek`."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._position

    def write(self, data: memoryview) -> int:
        """Write all of `data`, unless something has failed before."""
        length = len(data)
        if self.error is None and not self._discarding:
            try:
                done = 0
                while done < length:
                    done += os.pwrite(self.descriptor, data[done:], self._position + done)
            except OSError as error:
                self.error = error
        self._position += length
        self._size = max(self._size, self._position)
        return length

    def read(self, size: int) -> bytes:
        """Read back, as `io.RawIOBase.read`."""
        data = os.pread(self.descriptor, size, self._position)
        self._position += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        """Read back, as `io.RawIOBase.readinto`."""
        count = os.preadv(self.descriptor, [buffer], self._position)
        self._position += count
        return count

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        self._size = self._position if size is None else size
        if self.error is None and not self._discarding:
            try:
                os.ftruncate(self.descriptor, self._size)
            except OSError as error:
                self.error = error
        return self._size

    def flush(self) -> None:
        """Nothing is held back here."""

    def raise_deferred(self) -> None:
        """Raise the first failure, if there was one."""
        if self.error is not None:
            raise self.error

    def checksum(self) -> tuple[int, str]:
        """Size and SHA-256 of the file's contents."""
        digest = hashlib.sha256()
        size = 0
        while piece := os.pread(self.descriptor, 2**20, size):
            digest.update(piece)
            size += len(piece)
        return size, digest.hexdigest()

    def discard(self) -> None:
        """From now on take everything and write nothing."""
        self._discarding = True

    def close(self) -> None:
        """Close; may be called twice."""
        if self.descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = -1


def flushed(descriptor: int) -> None:
    """Wait until the bytes of an open file are on the disk."""
    os.fsync(descriptor)


def synced_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flushed(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a small file that appears whole or not at all.

    Arguments:
        path: Final name.
        text: Its contents, written as UTF-8.

    Raises:
        ShardError: It cannot be written; what was there before is untouched.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            flushed(file.fileno())
        os.replace(part, path)
        synced_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise write_error(path, error) from error


def write_error(path: Path, cause: BaseException) -> ShardError:
    """The sentence for a file that cannot be written.

    Arguments:
        path: Its final name.
        cause: What the system said.

    Returns:
        The exception to raise.

    Example:
        >>> full = OSError(28, "No space left on device")
        >>> str(write_error(Path("a/00000.h5"), full)).partition(";")[0]
        'a/00000.h5: cannot be written (No space left on device)'
    """
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return ShardError(
        f"{path}: cannot be written ({reason}); make room or choose another folder, "
        "then rerun the same command to resume"
    )
