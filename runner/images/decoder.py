"""Decoders: bytes to arrays of one shape; image formats, and decoding time."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import PurePath
from time import perf_counter_ns

from runner.batch import Array, ArraySpec
from runner.place import Bytes, Place

StoredBytes = tuple[Bytes, ...]
"""The bytes of a sample as they are stored, in one or several parts."""


class Decoder(ABC):
    """Turns bytes into arrays of one shape; frozen, picklable, shared freely by threads.

    The same bytes give the same array in every thread and process, whatever was decoded before.
    """

    __slots__ = ()

    spec: ArraySpec

    @abstractmethod
    def decode(self, data: Bytes, name: str, out: Array) -> tuple[int, ...]:
        """Decode `data` into `out`, a C-contiguous array of `spec`'s shape and dtype; return the shape that is stored.

        Of an image that is its height and width.

        Raises `BadSampleError`, with `name` and the reason, if the bytes are damaged or of another kind.
        """

    def read(self, place: Place, out: Array) -> StoredBytes:
        """Fetch the bytes at `place` and decode them into `out`; return them.

        Raises `BadSampleError` as `decode` does, and if there are no bytes.
        """
        data = place.read()
        with decoding:
            self.decode(data, place.name, out)
        return (data,)

    def read_many(self, places: Sequence[Place], out: Array) -> None:
        """Read the samples at `places` into the rows of `out`; raises as `read` does."""
        for row, place in enumerate(places):
            self.read(place, out[row])


MANY_PIXELS = 1 << 25
"""An image of more pixels, about 33 million, must have a file of some size."""
PIXELS_PER_BYTE = 1000
"""The most pixels for a byte of such a file. Photographs have 2 to 50; a file that says more is made to fill memory."""


def refuse_bomb(height: int, width: int, num_bytes: int) -> None:
    """Raise `ValueError` if a file of `num_bytes` cannot honestly hold so large an image."""
    if height * width > max(MANY_PIXELS, num_bytes * PIXELS_PER_BYTE):
        raise ValueError(f"{height:,}x{width:,} pixels in a file of {num_bytes:,} bytes, which would only fill memory")


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
