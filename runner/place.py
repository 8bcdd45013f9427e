"""Place: a file or a part of one, where bytes of a sample are; reading them, or taking those fetched before."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from runner.errors import BadSampleError, reason

Bytes = bytes | bytearray | memoryview

MOST_BYTES = 1 << 30
"""The most bytes of a sample to read at once. No image that Pillow agrees to decode takes more, uncompressed."""

NOT_A_FILE = "is a pipe or a device, not a file"


class Place(NamedTuple):
    """A file, or the `size` bytes of it from `offset` on, which messages call `member`."""

    file: str
    offset: int = 0
    size: int | None = None
    member: str = ""

    @property
    def name(self) -> str:
        """What messages call it: the path of the file, and the part of it."""
        return f"{self.file}: {self.member}" if self.member else self.file

    def read(self) -> Bytes:
        """The bytes: those that `using_fetched` has, else those in the file.

        Raises `BadSampleError` if the file is missing, not readable, no file, cut off or empty, or for more than
        `MOST_BYTES`.
        """
        fetched = _here.fetched
        data = None if fetched is None else fetched.get(self)
        return self.fetch() if data is None else data

    def fetch(self) -> bytes:
        """The bytes in the file, whatever was fetched before. Raises as `read` does."""
        try:
            descriptor, in_file = open_file(self.file)
            try:
                size = in_file if self.size is None else self.size
                if size > MOST_BYTES:
                    raise ValueError(f"{size:,} bytes are too many for a sample, at most {MOST_BYTES:,} are read")
                data = os.pread(descriptor, size, self.offset)
                while len(data) < size and (more := os.pread(descriptor, size - len(data), self.offset + len(data))):
                    data += more
            finally:
                os.close(descriptor)
            if self.size is not None and len(data) < self.size:
                raise ValueError(f"{self.file} ends after {self.offset + len(data):,} bytes, within this sample")
        except (OSError, ValueError) as error:
            raise BadSampleError(self.name, reason(error)) from error
        if not data:
            raise BadSampleError(self.name, "empty file")
        return data

    def head(self, num_bytes: int) -> bytes:
        """The first bytes in the file, at most `num_bytes`. Raises `OSError`."""
        descriptor, in_file = open_file(self.file)
        try:
            return os.pread(descriptor, min(num_bytes, in_file if self.size is None else self.size), self.offset)
        finally:
            os.close(descriptor)

    def blocks(self, num_bytes: int) -> Iterator[bytes]:
        """The bytes in the file, at most `num_bytes` at a time. Raises `OSError`."""
        descriptor, in_file = open_file(self.file)
        try:
            at, end = self.offset, self.offset + (in_file if self.size is None else self.size)
            while block := os.pread(descriptor, min(num_bytes, end - at), at):
                yield block
                at += len(block)
        finally:
            os.close(descriptor)

    def stat(self) -> tuple[int, int]:
        """The number of bytes, and when the file was changed, in nanoseconds. Raises `OSError` if it is missing."""
        status = os.stat(self.file)  # noqa: PTH116  (Path.stat costs 1 µs more)
        return status.st_size if self.size is None else self.size, status.st_mtime_ns


class Fetched(Protocol):
    """Bytes that were fetched before they are needed."""

    def get(self, place: Place) -> Bytes | None:
        """The bytes of `place`; None if they were not fetched. Raises the `BadSampleError` of fetching them."""


class _Here(threading.local):
    fetched: Fetched | None = None


_here = _Here()


@contextmanager
def using_fetched(fetched: Fetched | None) -> Iterator[None]:
    """In this thread, within the block, take the bytes of places from `fetched` before their files are opened."""
    before, _here.fetched = _here.fetched, fetched
    try:
        yield
    finally:
        _here.fetched = before


def fetched_bytes(place: Place) -> Bytes | None:
    """The bytes of `place` that this thread uses; None if they were not fetched."""
    return None if _here.fetched is None else _here.fetched.get(place)


def open_file(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The descriptor and the size of a file, opened for reading.

    Raises `OSError` if it is missing or may not be read, `ValueError` if it is a pipe or a device, which could block or
    have no end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise ValueError(NOT_A_FILE)
