"""Which format an image file has, by its content and by its name."""

from __future__ import annotations

from pathlib import PurePath

HEAD = 12
"""Bytes at the beginning of a file that tell its format."""

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
    """The format of a file that begins with `head`, its first `HEAD` bytes; None if it is none we know.

    >>> format_of(b"RIFF....WEBP")
    'WebP'
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def misnamed(name: str, head: bytes) -> str | None:
    r"""What is wrong with the suffix of a file that begins with `head`; None if nothing is.

    >>> misnamed("cat/1.png", b"\xff\xd8\xff\xe0")
    'content is JPEG, name says .png'
    """
    suffix, found = PurePath(name).suffix.lower(), format_of(head)
    if found is None or _BY_SUFFIX.get(suffix, found) == found:
        return None
    return f"content is {found}, name says {suffix}"
