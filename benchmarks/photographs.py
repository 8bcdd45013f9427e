"""The benchmark's data: JPEG photographs in class folders, the same on every machine."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("china.jpg", "flower.jpg")
"""Photographs that scikit-learn ships; each class is cut from one of them."""


def make_photographs(root: Path, number: int) -> None:
    """Write `number` JPEG files of about 500×375 pixels and 60 kB, half of each class, unless they are there."""
    _make(root, number, 1)


def make_large_photographs(root: Path, number: int) -> None:
    """The same with eight times the width and height: 4000×3000 pixels."""
    _make(root, number, 8)


def _make(root: Path, number: int, scale: int) -> None:
    jobs = [(name, index) for name in CLASSES for index in range(number // len(CLASSES))]
    missing = [job for job in jobs if not _file(root, *job).exists()]
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_cut, root, scale), missing, chunksize=16))


def _file(root: Path, name: str, number: int) -> Path:
    return root / Path(name).stem / f"{number:04d}.jpg"


def _cut(root: Path, scale: int, job: tuple[str, int]) -> None:
    """A random part of the photograph, scaled to a random size, with a little noise as sensors have it."""
    from sklearn.datasets import load_sample_image

    name, number = job
    random = np.random.default_rng([CLASSES.index(name), number])
    photograph = Image.fromarray(load_sample_image(name))
    width, height = scale * int(random.integers(440, 560)), scale * int(random.integers(330, 420))
    left, top = random.uniform(0, 0.2, 2) * photograph.size
    box = (left, top, left + 0.75 * photograph.width, top + 0.75 * photograph.height)
    pixels = np.asarray(photograph.resize((width, height), Image.Resampling.BICUBIC, box=box), np.float32)
    noisy = np.clip(pixels + random.normal(0, 4, (height, width, 1)), 0, 255).astype(np.uint8)
    file = _file(root, name, number)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy).save(file, quality=90)
