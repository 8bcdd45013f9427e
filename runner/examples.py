"""`python -m runner.examples`: small data to try the runner with, generated and always the same."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import ConfigurationError
from runner.exit import guarded
from runner.messages import did_you_mean, first_few, plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELP = """\
usage: python -m runner.examples [FOLDER]

Write small data to try the runner with into FOLDER (default: the current
folder). Everything is generated, the same each time, and about 1 MB in all.
Files that exist are never overwritten.

files
  photos/          180 JPEG pictures in one folder per class: circle, square,
                   triangle
  photos.csv       a table of them, with split, shape, size, area, width, colors
  volumes/         48 arrays of 16×16×16×1 values, one .npy file per id
  partition.json   the ids of the volumes, by split
  labels.json      the class number of each id
  arrays.npz       arrays x and y, and x_test and y_test
  pets/            60 pictures in images/, and the mask of each in trimaps/:
                   1 pet, 2 background, 3 not clear

examples
  python -m runner data=directory data.root=photos 'data.target_size=[64,64]'
  python -m runner data=npy data.root=volumes model=cnn3d 'model.filters=[8]'
  python -m runner data=dataframe data.manifest=photos.csv \\
    'data.label_columns=[shape]' 'data.target_size=[64,64]'
  python -m runner data=arrays data.path=arrays.npz model=mlp
  python -m runner data=directory data.root=pets/images \\
    data.masks=pets/trimaps data.class_mode=mask \\
    'data.mask_values={1: pet, 2: background}' \\
    data.ignore_value=3 'data.target_size=[64,64]' model=unet

exit codes: 0 done; 2 the folder cannot be used
"""
NAMES = ("photos", "photos.csv", "volumes", "partition.json", "labels.json", "arrays.npz", "pets")
SHAPES = ("circle", "square", "triangle")
COLORS = {"red": (200, 60, 50), "green": (60, 160, 70), "blue": (60, 90, 190)}
COLUMNS = ("path", "split", "shape", "size", "area", "width", "colors")
SPLITS = ("train",) * 4 + ("validation", "test")
PHOTOS_PER_CLASS = 60
NUM_VOLUMES = 48
NUM_PETS = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the example data, as the command line or `arguments` say; the exit code."""
    return guarded(lambda: execute(sys.argv[1:] if arguments is None else arguments))


def execute(arguments: Sequence[str]) -> int:
    """Write the example data; 0. Raises `ConfigurationError` for a folder that cannot be used."""
    if arguments and arguments[0] in ("help", "-h", "--help"):
        sys.stdout.write(HELP)
        return 0
    folder = _folder(arguments)
    write_examples(folder)
    sys.stdout.write(f"examples  {', '.join(f'{folder / name}' for name in NAMES)}\n")
    return 0


def _folder(arguments: Sequence[str]) -> Path:
    flags = [argument for argument in arguments if argument.startswith("-")]
    if flags:
        raise ConfigurationError(f"unknown flag {flags[0]!r}{did_you_mean(flags[0], ['--help']) or '; see --help'}")
    if len(arguments) > 1:
        raise ConfigurationError(f"expected at most 1 folder, got {plural(len(arguments), 'folder')}; see --help")
    return Path(arguments[0]) if arguments else Path()


def write_examples(folder: Path) -> None:
    """Write all example data into `folder`, which is made if it does not exist.

    Raises `ConfigurationError`, before anything is written, if one of the files exists or the folder cannot be made.
    """
    existing = [str(folder / name) for name in NAMES if (folder / name).exists()]
    if existing:
        raise ConfigurationError(
            f"the example data must not overwrite {first_few(existing, most=len(NAMES))}; "
            "give another folder: python -m runner.examples FOLDER"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_photos(folder)
        _write_volumes(folder)
        _write_arrays(folder)
        _write_pets(folder)
    except OSError as error:
        raise ConfigurationError(f"the example data cannot be written into {folder}: {error}") from error


@dataclass(frozen=True)
class Photo:
    """One picture: a shape in one colour on grey, often with a frame in a second colour."""

    shape: str
    radius: int
    colors: tuple[str, ...]
    split: str

    @property
    def size(self) -> str:
        """Whether the shape is small or large: a radius of 17 pixels or more is large."""
        return "large" if self.radius >= 17 else "small"

    @property
    def area(self) -> float:
        """The share of the picture that the shape covers, from 0 to 1."""
        factor = {"circle": 3.1416, "square": 3.2400, "triangle": 2.0000}[self.shape]
        return round(factor * self.radius**2 / PIXELS**2, 4)

    @property
    def width(self) -> float:
        """The width of the shape as a share of the picture's, from 0 to 1."""
        return round((1.8 if self.shape == "square" else 2.0) * self.radius / PIXELS, 4)


PIXELS = 72
"""Height and width of a picture."""


def _write_photos(folder: Path) -> None:
    """180 pictures of 72×72 pixels in class folders, and the table of them."""
    import numpy as np

    random = np.random.default_rng(0)
    rows = []
    for shape in SHAPES:
        (folder / "photos" / shape).mkdir(parents=True)
        for number in range(PHOTOS_PER_CLASS):
            chosen = random.permutation(list(COLORS))[: random.integers(1, 3)]
            photo = Photo(shape, int(random.integers(11, 24)), tuple(map(str, chosen)), SPLITS[number % len(SPLITS)])
            path = f"photos/{shape}/{number:02}.jpg"
            _draw(photo, random).save(folder / path, quality=85)
            numbers = (photo.area, photo.width)
            rows.append((path, photo.split, shape, photo.size, *numbers, "|".join(photo.colors)))
    with (folder / "photos.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def _draw(photo: Photo, random: np.random.Generator) -> Any:
    """The picture, on a grey of its own with a little noise."""
    import numpy as np
    from PIL import Image, ImageDraw

    grey = random.integers(170, 230)
    noise = random.normal(grey, 6, (PIXELS, PIXELS, 1)).clip(0, 255)
    image = Image.fromarray(np.repeat(noise.astype(np.uint8), 3, axis=2))
    draw = ImageDraw.Draw(image)
    (x, y), radius = random.integers(PIXELS // 2 - 5, PIXELS // 2 + 6, 2).tolist(), photo.radius
    color = COLORS[photo.colors[0]]
    if photo.shape == "circle":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    elif photo.shape == "square":
        half = 0.9 * radius
        draw.rectangle((x - half, y - half, x + half, y + half), fill=color)
    else:
        draw.polygon(((x, y - radius), (x - radius, y + radius), (x + radius, y + radius)), fill=color)
    for frame in photo.colors[1:]:
        draw.rectangle((0, 0, PIXELS - 1, PIXELS - 1), outline=COLORS[frame], width=4)
    return image


def _write_volumes(folder: Path) -> None:
    """48 volumes of 16×16×16×1, float32: a ball (class 0), a hollow ball (1) or a slab (2) in noise."""
    import numpy as np

    random = np.random.default_rng(1)
    (folder / "volumes").mkdir()
    ids = [f"id-{number}" for number in range(1, NUM_VOLUMES + 1)]
    labels = {name: number % 3 for number, name in enumerate(ids)}
    for name, label in labels.items():
        volume = _volume(label, random) + random.normal(0, 0.2, (16, 16, 16))
        np.save(folder / "volumes" / f"{name}.npy", volume[..., np.newaxis].astype(np.float32))
    partition = {"train": ids[:30], "validation": ids[30:39], "test": ids[39:]}
    for name, document in (("partition.json", partition), ("labels.json", labels)):
        (folder / name).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _volume(label: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The shape of a class, 1 inside and 0 outside, anywhere near the middle; shape (16, 16, 16)."""
    import numpy as np

    centre = random.uniform(6, 9, 3)
    offsets = np.moveaxis(np.indices((16, 16, 16)), 0, -1) - centre
    distance = np.sqrt((offsets**2).sum(axis=-1))
    radius = random.uniform(4, 6)
    if label == 0:
        inside = distance < radius
    elif label == 1:
        inside = abs(distance - radius) < 1
    else:
        inside = abs(offsets[..., random.integers(3)]) < 1.5
    volume: NDArray[np.float64] = inside.astype(np.float64)
    return volume


def _write_arrays(folder: Path) -> None:
    """Points of three clusters in five dimensions: 240 to train on, 60 to test on."""
    import numpy as np

    random = np.random.default_rng(2)
    y = np.arange(300) % 3
    x = (random.normal(0, 1.5, (3, 5))[y] + random.normal(0, 0.7, (300, 5))).astype(np.float32)
    np.savez(folder / "arrays.npz", x=x[:240], y=y[:240], x_test=x[240:], y_test=y[240:])


PET_COLORS = ((120, 80, 50), (90, 90, 95), (200, 150, 90))


def _write_pets(folder: Path) -> None:
    """60 pictures of 72×72 pixels of an animal on grass, and masks as in the Oxford-IIIT Pet data set.

    A mask holds 1 for the animal, 2 for the background, and 3 along the edge, where it is not clear.
    """
    import numpy as np
    from PIL import Image, ImageChops, ImageDraw, ImageFilter

    random = np.random.default_rng(3)
    for name in ("images", "trimaps"):
        (folder / "pets" / name).mkdir(parents=True)
    for number in range(NUM_PETS):
        grass = random.normal(random.normal((95, 140, 70), 15), 12, (PIXELS, PIXELS, 3))
        image, pet = Image.fromarray(grass.clip(0, 255).astype(np.uint8)), Image.new("L", (PIXELS, PIXELS))
        draw, size = ImageDraw.Draw(pet), int(random.integers(9, 15))
        x, y = random.integers(size + 8, PIXELS - size - 8, 2).tolist()
        side = -1 if random.integers(2) else 1
        draw.ellipse((x - size - 4, y - size + 4, x + size + 4, y + size - 2), fill=255)
        head = (x + side * (size + 1), y - size // 2)
        draw.ellipse((head[0] - 7, head[1] - 7, head[0] + 7, head[1] + 7), fill=255)
        for ear in (-5, 5):
            draw.polygon(
                ((head[0] + ear - 3, head[1] - 4), (head[0] + ear + 3, head[1] - 4), (head[0] + ear, head[1] - 13)),
                fill=255,
            )
        fur = random.normal(PET_COLORS[number % len(PET_COLORS)], 14, (PIXELS, PIXELS, 3))
        image.paste(Image.fromarray(fur.clip(0, 255).astype(np.uint8)), mask=pet)
        trimap = np.where(np.asarray(pet) > 0, 1, 2).astype(np.uint8)
        edge = ImageChops.difference(pet.filter(ImageFilter.MaxFilter(3)), pet.filter(ImageFilter.MinFilter(3)))
        trimap[np.asarray(edge) > 0] = 3
        image.filter(ImageFilter.GaussianBlur(0.6)).save(folder / "pets" / "images" / f"{number:02}.jpg", quality=85)
        Image.fromarray(trimap).save(folder / "pets" / "trimaps" / f"{number:02}.png")


if __name__ == "__main__":
    sys.exit(main())
