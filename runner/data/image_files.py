"""Image files of a folder, and what else lies there."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import DataError, reason

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"))
"""Suffixes of image files, in lower case; other files are left out."""


@dataclass
class Listing:
    """The images of a folder, and what lies there that is not read; paths are relative, with forward slashes."""

    images: list[str] = field(default_factory=list)

    roots: list[Path] = field(default_factory=list)
    """The folder itself, and the linked folders that were followed."""

    folders: list[str] = field(default_factory=list)
    """Names of the folders directly in it."""

    unread: Counter[str] = field(default_factory=Counter)
    """Visible files that are no images, by suffix."""

    unfollowed: list[str] = field(default_factory=list)
    """Links to folders that are not followed."""


def list_images(folder: Path) -> Listing:
    """Image files below `folder` at any depth, sorted by path.

    Hidden files and folders are left out. Linked folders are followed only directly in `folder`, because links
    further down may form a circle. Raises `DataError` if a folder cannot be read.
    """
    listing = Listing(roots=[folder])
    try:
        _walk(listing, os.fspath(folder), "", follow_links=True)
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be listed: {reason(error)}") from error
    listing.images.sort()
    return listing


def _walk(listing: Listing, folder: str, prefix: str, *, follow_links: bool) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=follow_links):
                if not entry.name.startswith("."):
                    _enter(listing, entry, f"{prefix}{entry.name}/")
            elif _is_image(entry.name):
                listing.images.append(prefix + entry.name)
            elif not entry.name.startswith("."):
                _leave_out(listing, entry, prefix)


def _leave_out(listing: Listing, entry: os.DirEntry[str], prefix: str) -> None:
    if entry.is_symlink() and entry.is_dir():
        listing.unfollowed.append(prefix + entry.name)
    else:
        listing.unread[_suffix(entry.name)] += 1


def _enter(listing: Listing, entry: os.DirEntry[str], prefix: str) -> None:
    if prefix.count("/") == 1:
        listing.folders.append(entry.name)
    if entry.is_symlink():
        listing.roots.append(Path(entry.path))
    _walk(listing, entry.path, prefix, follow_links=False)


def list_loose_images(folder: Path) -> list[str]:
    """Names of the visible image files directly in `folder`, sorted."""
    return sorted(entry.name for entry in _entries(folder) if _is_image(entry.name) and not entry.is_dir())


def holds_images(folder: Path) -> bool:
    """Whether there is a visible image file below `folder`, at any depth; linked folders are not followed."""
    for _, folders, files in os.walk(folder):
        if any(map(_is_image, files)):
            return True
        folders[:] = [name for name in folders if not name.startswith(".")]
    return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {reason(error)}") from error


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  (a Path costs 3 µs more)


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def list_folders(folder: Path) -> list[str]:
    """Names of the visible folders directly in `folder`, sorted."""
    return sorted(entry.name for entry in _entries(folder) if entry.is_dir() and not entry.name.startswith("."))
