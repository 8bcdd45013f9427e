"""figures/: small pictures of samples as the model receives them, a timeline, and the number of samples per class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runner.batch import Array
from runner.data.source import Source
from runner.errors import BadSampleError
from runner.fields import arrays_of
from runner.records.files import read_table, replacing, write_table
from runner.watchdog import watched

if TYPE_CHECKING:
    from PIL.Image import Image

FIGURES = "figures"
CLASSES = "classes.csv"
TIMELINE = "timeline.png"
SIDE = 80
"""The longest side of a picture, in pixels."""


@dataclass(frozen=True)
class Picture:
    """A picture below `figures/`, and its sample."""

    file: str
    split: str
    id: str
    label: str


def write_class_counts(folder: Path, counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> None:
    """Write the number of samples per head, class and split to figures/classes.csv; nothing without classes."""
    rows = [(head, name, *splits.values()) for head, names in counts.items() for name, splits in names.items()]
    splits = next((list(by_split) for names in counts.values() for by_split in names.values()), [])
    if rows:
        (folder / FIGURES).mkdir(exist_ok=True)
        write_table(folder / FIGURES / CLASSES, [["head", "class", *splits], *rows])


def write_pictures(folder: Path, name: str, split: str, source: Source, samples: Iterable[tuple[int, str]]) -> None:
    """Write pictures of samples, given by index and with a label to show, to figures/NAME/ and figures/NAME.csv.

    Samples that are not images, or cannot be read, are left out.
    """
    images = ((_image(source, index), str(source.ids[index]), label) for index, label in samples)
    write_images(folder, name, split, images)


def write_images(folder: Path, name: str, split: str, images: Iterable[tuple[Image | None, str, str]]) -> None:
    """Write pictures, given with the ids and labels of their samples, as `write_pictures` does."""
    pictures: list[Picture] = []
    # The folder is renamed as a whole: writing many pictures atomically one by one would be slow.
    made, final = folder / FIGURES / f".tmp-{name}", folder / FIGURES / name
    for image, sample_id, label in images:
        if image is not None:
            made.mkdir(parents=True, exist_ok=True)
            file = f"{len(pictures):03}.png"
            image.save(made / file)
            pictures.append(Picture(f"{name}/{file}", split, sample_id, label))
    if pictures:
        made.replace(final)
        write_table(folder / FIGURES / f"{name}.csv", [_header(), *map(astuple, pictures)])


def write_timeline(folder: Path, picture: Image) -> None:
    """Write a picture to figures/timeline.png; an earlier one is replaced."""
    (folder / FIGURES).mkdir(exist_ok=True)
    with replacing(folder / FIGURES / TIMELINE, overwrite=True) as temporary:
        picture.save(temporary, "png")


def read_pictures(folder: Path, name: str) -> dict[str, Picture]:
    """The pictures in figures/NAME.csv by the id of their sample; empty if there is no such table.

    Raises `RunnerError` if the table cannot be read.
    """
    path = folder / FIGURES / f"{name}.csv"
    rows = read_table(path) if path.exists() else []
    return {row[2]: Picture(*row) for row in rows[1:] if len(row) == len(fields(Picture))}


def read_class_counts(folder: Path) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Head, class and the number of samples per split; nothing if the run has no such table.

    Raises `RunnerError` if the table cannot be read.
    """
    path = folder / FIGURES / CLASSES
    header, *rows = (read_table(path) if path.exists() else []) or [[]]
    for head, name, *counts in rows:
        yield head, name, dict(zip(header[2:], map(int, counts), strict=True))


def _header() -> list[str]:
    return [field.name for field in fields(Picture)]


def _image(source: Source, index: int) -> Image | None:
    try:
        with watched(lambda: f"sample {source.ids[index]}"):
            values = source.read(index)
    except BadSampleError:
        return None
    images = (as_image(array) for _, array in arrays_of(values))
    return next((image for image in images if image is not None), None)


def as_image(array: Array, side: int = SIDE) -> Image | None:
    """A sample's array as a small picture, whose longest side is `side` at most; None if it is not an image.

    Images have shape `(height, width)` or `(height, width, channels)` with 1, 3 or 4 channels; of a volume with
    channels the middle slice is shown. Values that are not uint8 are scaled from their minimum and maximum to 0…255.
    """
    from PIL.Image import Resampling, fromarray

    slice_ = array[len(array) // 2] if array.ndim == 4 else array
    flat = slice_[..., 0] if slice_.ndim == 3 and slice_.shape[2] == 1 else slice_
    if flat.ndim not in (2, 3) or (flat.ndim == 3 and flat.shape[2] not in (3, 4)) or min(flat.shape[:2]) < 2:
        return None
    image = fromarray(np.ascontiguousarray(_bytes(flat)))
    image.thumbnail((side, side), Resampling.BOX)
    return image


def _bytes(array: Array) -> Array:
    if array.dtype == np.uint8:
        return array
    values = np.nan_to_num(array.astype(np.float64), posinf=0, neginf=0)
    low, high = np.min(values), np.max(values)
    spread: Array = ((values - low) / ((high - low) or 1) * 255).round().astype(np.uint8)
    return spread
