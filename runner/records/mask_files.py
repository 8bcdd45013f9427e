"""predictions/: each predicted mask as an image that can be read as a mask of its data, and each predicted array."""

from __future__ import annotations

import colorsys
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from runner.batch import Array
from runner.data.labels import Head
from runner.errors import RunnerError

PREDICTIONS = "predictions"
"""The folder of the predicted masks and arrays of a run."""

LARGEST_BYTE, LARGEST_16_BITS = 255, 65_535
MOST_BYTES = 200
"""The longest name of a file or folder, below the 255 bytes that file systems allow."""
UNSAFE = '<>:"\\|?*'
"""Characters that some file system does not allow in names."""


class MaskFiles:
    """Writes predicted masks and arrays into a folder, one by one; nothing of them stays in memory but their names.

    The folder of the head without a name, or the only one, is `predictions/` itself; others have one each below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = FileNames()

    def write(self, head: Head, sample_id: str, codes: Array, *, folder: str = "") -> str:
        """Write a mask of class codes, shape `(height, width)`; returns its path relative to the run's folder.

        Raises `RunnerError` if it cannot be written.
        """
        image, suffix = stored_image(head, codes)
        return self._write(sample_id, suffix, image.save, folder)

    def write_array(self, sample_id: str, array: Array, *, folder: str = "") -> str:
        """Write a predicted array as an `.npy` file; returns its path relative to the run's folder.

        Raises `RunnerError` if it cannot be written.
        """
        return self._write(sample_id, ".npy", lambda path: np.save(path, array), folder)

    def take(self, unnamed: UnnamedFile) -> str:
        """Move a file that another process has written, as if it were written here now; returns what `write` does."""
        return self._write(unnamed.name, unnamed.suffix, unnamed.path.replace, "")

    def _write(self, sample_id: str, suffix: str, save: Callable[[Path], object], folder: str) -> str:
        name = self._names.of(f"{folder}/{sample_id}" if folder else sample_id, suffix)
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path)
        except OSError as error:
            raise RunnerError(f"cannot write {path}: {error.strerror or error}") from error
        return f"{PREDICTIONS}/{name}"


@dataclass(frozen=True)
class UnnamedFile:
    """A written mask or array that gets its name later: names depend on all samples before, which others predict."""

    path: Path
    name: str
    """The sample's id, below the folder of its head."""
    suffix: str


class UnnamedFiles(MaskFiles):
    """Writes predicted masks and arrays as numbered files, for `MaskFiles.take` of the process that names them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._numbers = count()

    def _write(self, sample_id: str, suffix: str, save: Callable[[Path], object], folder: str) -> Any:
        path = self._folder / f"{next(self._numbers)}{suffix}"
        try:
            save(path)
        except OSError as error:
            raise RunnerError(f"cannot write {path}: {error.strerror or error}") from error
        return UnnamedFile(path, f"{folder}/{sample_id}" if folder else sample_id, suffix)


@contextmanager
def mask_files(run: Path) -> Iterator[MaskFiles]:
    """The masks of a run, which appear in `predictions/` all at once, at the end of the block.

    Raises `RunnerError` if there are masks already.
    """
    made, final = run / f".tmp-{PREDICTIONS}", run / PREDICTIONS
    if final.exists():
        raise RunnerError(f"{final} already exists and is not overwritten; move it away")
    remove(made)
    try:
        made.mkdir()
        yield MaskFiles(made)
        made.replace(final)
    except OSError as error:
        raise RunnerError(f"cannot write {final}: {error.strerror or error}") from error
    finally:
        remove(made)


def remove(folder: Path) -> None:
    """Remove a folder of masks, if it exists."""
    shutil.rmtree(folder, ignore_errors=True)


def stored_image(head: Head, codes: Array) -> tuple[Any, str]:
    """A mask of class codes as an image that holds each class's stored value, and the suffix of its file.

    A palette image shows the classes in colours; its values, or the colours of a head that has colours, are those that
    are stored. Larger values take 16 bits without colours, or TIFF. Without stored values they are the codes.
    """
    from PIL.Image import fromarray

    stored = written_values(head)
    colors = [value for value in stored if isinstance(value, tuple)]
    values = [value for value in stored if isinstance(value, int)]
    if values and not (min(values) >= -(2**31) and max(values) < 2**31):  # no image file holds them
        values = list(range(len(values)))
    if colors:
        if len(colors) > LARGEST_BYTE + 1:
            return fromarray(np.array(colors, np.uint8)[codes]), ".png"
        return _with_palette(codes.astype(np.uint8), colors), ".png"
    if min(values) >= 0 and max(values) <= LARGEST_BYTE:
        palette = [(0, 0, 0)] * (max(values) + 1)
        for value, color in zip(values, class_colors(len(values)), strict=True):
            palette[value] = color
        return _with_palette(np.array(values, np.uint8)[codes], palette), ".png"
    if min(values) >= 0 and max(values) <= LARGEST_16_BITS:
        return fromarray(np.array(values, np.uint16)[codes]), ".png"
    return fromarray(np.array(values, np.int32)[codes]), ".tif"


def written_values(head: Head) -> tuple[int | tuple[int, int, int], ...]:
    """What files hold for each class: the stored values of the head's data, or the codes where there are none."""
    return head.stored if len(head.stored) == len(head.class_names) else tuple(range(len(head.class_names)))


def _with_palette(indices: Array, palette: Sequence[tuple[int, ...]]) -> Any:
    from PIL.Image import fromarray

    image = fromarray(np.ascontiguousarray(indices))
    image.putpalette([level for color in palette for level in color])
    return image


def class_colors(count: int) -> list[tuple[int, int, int]]:
    """A colour for each class: dark gray for the first, often the background; bright ones far apart for the others."""
    golden = 0.618034
    hues = ((0.58 + golden * number) % 1 for number in range(count - 1))
    bright = [colorsys.hsv_to_rgb(hue, 0.75 - 0.25 * (n % 3 == 2), 0.95 - 0.2 * (n % 2)) for n, hue in enumerate(hues)]
    return [(40, 40, 44), *((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in bright)]


class FileNames:
    """Names of files for ids: like the id, safe on every file system, and unique even where case does not count."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._copies: Counter[str] = Counter()

    def of(self, sample_id: str, suffix: str) -> str:
        """The path of a sample's file: its id with another suffix, as far as that is possible."""
        *folders, last = [_safe(part) for part in sample_id.split("/") if part not in ("", ".")] or ["sample"]
        path = PurePosixPath(*folders, _without_suffix(last))
        if not self._can_hold(path.parent):
            path = PurePosixPath("_".join(path.parts)[:MOST_BYTES])
        name = f"{path}{suffix}"
        while not self._is_free(name):
            self._copies[_key(path)] += 1
            name = f"{path}-{self._copies[_key(path)] + 1}{suffix}"
        self._files.add(_key(name))
        self._folders.update(map(_key, PurePosixPath(name).parents))
        return name

    def _is_free(self, name: str) -> bool:
        return _key(name) not in self._files and _key(name) not in self._folders

    def _can_hold(self, folder: PurePosixPath) -> bool:
        """Whether neither the folder nor one above it has the name of a file."""
        return self._files.isdisjoint(map(_key, (folder, *folder.parents)))


def _without_suffix(name: str) -> str:
    """The name without the suffix of its file; the decimals of a number are none."""
    suffix = PurePosixPath(name).suffix
    return name if suffix[1:].isdecimal() else name.removesuffix(suffix)


def _safe(part: str) -> str:
    """A part of a path without characters that a file system refuses; not hidden, as hidden masks are not read."""
    kept = "".join("_" if c in UNSAFE or unicodedata.category(c) in ("Cc", "Cs") else c for c in part).rstrip(". ")
    kept = f"_{kept.lstrip('.')}" if kept.startswith(".") or not kept else kept
    return kept.encode()[:MOST_BYTES].decode(errors="ignore")


def _key(path: str | PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()
