"""Which decoder reads the images of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runner.batch import ArraySpec
from runner.images.exact import ExactReader, is_16_bit
from runner.images.fast import FastReader
from runner.images.reader import ImageReader
from runner.images.settings import ColorMode, ImageSettings

FIRST = 10
"""Files that are looked at, at most, for one whose header can be read."""

CHANNELS: dict[ColorMode, int] = {"grayscale": 1, "rgb": 3, "rgba": 4}


def open_reader(settings: ImageSettings, *first: Path) -> ImageReader:
    """What reads the images of one data set; `first` are any of its files, and only a header is read.

    Batches are uint8; float32 if `color_mode` is grayscale and the first that has a readable header a 16-bit image,
    and then every image is divided by the white of its own depth. Files that cannot be read count as 8-bit here;
    reading them names what is wrong.
    """
    deep = settings.color_mode == "grayscale" and is_16_bit(*first)
    shape = (*settings.target_size, CHANNELS[settings.color_mode])
    spec = ArraySpec(shape, np.dtype(np.float32 if deep else np.uint8))
    if settings.decode == "fast" and settings.interpolation in ("nearest", "bilinear"):
        return FastReader(settings, spec)
    return ExactReader(settings, spec)
