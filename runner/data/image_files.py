"""Image files of a folder, and the class folders they lie in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from runner.errors import DataError
from runner.images.reader import reason
from runner.messages import first_few

MOST_FOLDERS = 20
"""Folders that a message names."""

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"))
"""Suffixes of image files, in lower case; other files are left out."""


def list_images(folder: Path) -> list[str]:
    """Image files below `folder` at any depth: sorted paths relative to it, with forward slashes.

    Hidden files and folders are left out. Linked folders are followed only directly in `folder`, because links
    further down may form a circle. Raises `DataError` if a folder cannot be read.
    """
    try:
        return sorted(_walk(os.fspath(folder), "", follow_links=True))
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be listed: {reason(error)}") from error


def list_loose_images(folder: Path) -> list[str]:
    """Names of the visible image files directly in `folder`, sorted."""
    return sorted(entry.name for entry in folder.iterdir() if _is_image(entry.name) and not entry.is_dir())


def _walk(folder: str, prefix: str, *, follow_links: bool) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=follow_links):
                if not entry.name.startswith("."):
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", follow_links=False)
            elif _is_image(entry.name):
                yield prefix + entry.name


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def list_folders(folder: Path) -> list[str]:
    """Names of the visible folders directly in `folder`, sorted."""
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def list_classes(folder: Path, classes: tuple[str, ...]) -> tuple[list[str], list[int]]:
    """Image files in the class folders of `folder`, class by class, and the class code of each.

    A class without a folder has no files.
    """
    ids, codes = [], []
    for code, name in enumerate(classes):
        if not (folder / name).is_dir():
            continue
        images = list_images(folder / name)
        ids += [f"{name}/{image}" for image in images]
        codes += [code] * len(images)
    return ids, codes


def refuse_missing(folder: Path, classes: tuple[str, ...]) -> None:
    """Raise `DataError` if one of `classes` has no folder."""
    missing = [name for name in classes if not (folder / name).is_dir()]
    if missing:
        raise DataError(
            f"data.classes must name folders of {folder}, got {first_few(missing)}; the folders are "
            f"{first_few(list_folders(folder), most=MOST_FOLDERS)}"
        )


def refuse_unknown(folder: Path, classes: tuple[str, ...]) -> None:
    """Raise `DataError` if `folder` has a class folder that the training data lacks."""
    unknown = [name for name in list_folders(folder) if name not in classes]
    if unknown:
        raise DataError(
            f"{folder} must have only class folders of the training data, got {first_few(unknown)}; remove them, or "
            "list the classes to use with data.classes=[…]"
        )
