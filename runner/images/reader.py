"""Reading of files: the base class of file readers, bytes, reasons of errors, image formats, and decoding time."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path, PurePath
from time import perf_counter_ns

from runner.batch import Array, ArraySpec
from runner.errors import BadSampleError

FileBytes = tuple[bytes | bytearray | memoryview, ...]
"""The bytes of a file, in one or several parts."""


class FileReader(ABC):
    """Reads files to arrays of one shape; frozen, picklable, shared freely by threads.

    A file gives the same array in every thread and process, whatever was read before it.
    """

    __slots__ = ()

    spec: ArraySpec

    @abstractmethod
    def read(self, path: str, out: Array) -> FileBytes:
        """Read the file at `path` into `out`, a C-contiguous array of `spec`'s shape and dtype; return its bytes.

        Raises `BadSampleError`, with the path and the reason, if the file is missing, empty, damaged or of another
        kind.
        """

    def read_many(self, paths: Sequence[str], out: Array) -> None:
        """Read the files at `paths` into the rows of `out`; raises as `read` does."""
        for row, path in enumerate(paths):
            self.read(path, out[row])


_OBJECT = re.compile(r"\s*<_io\.[^>]*>")


MOST_FILE_BYTES = 1 << 30
"""The largest image file to read. No image that Pillow agrees to decode takes more, uncompressed."""

NOT_A_FILE = "is a pipe or a device, not a file"


def open_file(path: Path | str) -> tuple[int, int]:
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


def read_bytes(path: Path | str) -> bytes:
    """The bytes of a file.

    Raises `BadSampleError` if it is missing, not readable, no file, empty, or larger than `MOST_FILE_BYTES`.
    """
    try:
        descriptor, size = open_file(path)
        try:
            if size > MOST_FILE_BYTES:
                raise ValueError(f"{size:,} bytes are too many for an image, at most {MOST_FILE_BYTES:,} are read")
            data = os.read(descriptor, size)
            while len(data) < size and (more := os.read(descriptor, size - len(data))):
                data += more
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise BadSampleError(str(path), reason(error)) from error
    if not data:
        raise BadSampleError(str(path), "empty file")
    return data


MANY_PIXELS = 1 << 25
"""An image of more pixels, about 33 million, must have a file of some size."""
PIXELS_PER_BYTE = 1000
"""The most pixels for a byte of such a file. Photographs have 2 to 50; a file that says more is made to fill memory."""


def refuse_bomb(height: int, width: int, num_bytes: int) -> None:
    """Raise `ValueError` if a file of `num_bytes` cannot honestly hold so large an image."""
    if height * width > max(MANY_PIXELS, num_bytes * PIXELS_PER_BYTE):
        raise ValueError(f"{height:,}x{width:,} pixels in a file of {num_bytes:,} bytes, which would only fill memory")


def reason(error: Exception) -> str:
    """The reason of an error, without Python objects and error numbers."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    text = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
    # Pillow names its buffer object instead of the file. Messages name the path before the reason.
    return _OBJECT.sub("", text) or type(error).__name__


HEAD = 12
"""Bytes at the beginning of a file that identify its format."""

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    **{b"P%d" % number: "PNM" for number in range(1, 7)},
}
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PNM": (".ppm", ".pgm", ".pbm"),
    "WebP": (".webp",),
}
_BY_SUFFIX = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes}


def format_of(head: bytes) -> str | None:
    """The format of a file whose first `HEAD` bytes are `head`; None if unknown.

    >>> format_of(b"RIFF....WEBP")
    'WebP'
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def misnamed(name: str, head: bytes) -> str | None:
    r"""The contradiction between a file's suffix and its first bytes, `head`; None if there is none.

    >>> misnamed("cat/1.png", b"\xff\xd8\xff\xe0")
    'content is JPEG, name says .png'
    """
    suffix, found = PurePath(name).suffix.lower(), format_of(head)
    if found is None or _BY_SUFFIX.get(suffix, found) == found:
        return None
    return f"content is {found}, name says {suffix}"


class _Decoding(threading.local):
    """A stopwatch per thread that runs inside a `with` block; blocks must not be nested."""

    nanoseconds = 0
    _began = 0

    def __enter__(self) -> None:
        self._began = perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self.nanoseconds += perf_counter_ns() - self._began


decoding = _Decoding()
"""The time that each thread has spent on decoding images; the rest of reading is file access."""
