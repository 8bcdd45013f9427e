"""Augmentation: images changed at random, the same way wherever and whenever the same epoch is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runner.batch import Array, ArraySpec
from runner.errors import DataError
from runner.transforms.draws import Draws
from runner.transforms.geometry import place
from runner.transforms.settings import Augment
from runner.transforms.tone import tone
from runner.transforms.transform import Change
from runner.transforms.window import Fit, window

DTYPES = ("uint8", "uint16", "float32")
MOST_CHANNELS = 4
"""What OpenCV interpolates."""


@dataclass(frozen=True)
class Augmentation:
    """Crops, places and tones an image as the draws of (seed, epoch, index) say."""

    settings: Augment
    spec: ArraySpec
    seed: int

    def __call__(self, array: Array, epoch: int, index: int) -> Array:
        """The image, changed."""
        draws = Draws.of(self.seed, epoch, index)
        image = window(array, *self.settings.crop, draws) if self.settings.crop else array
        image = place(image, self.settings, draws)
        if self.settings.tones:
            image = tone(image, self.settings, draws)
        return image.reshape(self.spec.shape)  # OpenCV gives images of one channel without that axis


def augment(settings: Augment, read: ArraySpec, seed: int, *, training: bool) -> tuple[Change, ...]:
    """What `settings` ask to do with samples that are read as `read`; beside training only what keeps them alike.

    Raises `DataError` where such samples cannot be changed so.
    """
    if not settings:
        return ()
    _refuse_others_than_images(settings, read)
    if settings.crop is None:
        return (Augmentation(settings, read, seed),) if training else ()
    spec = ArraySpec((*settings.crop, *read.shape[2:]), np.dtype(read.dtype))
    return (Augmentation(settings, spec, seed) if training else Fit(spec),)


def _refuse_others_than_images(settings: Augment, read: ArraySpec) -> None:
    shape, told = read.shape, f"{'×'.join(map(str, read.shape))} {read.dtype}"
    flat_or_coloured = len(shape) == 2 or (len(shape) == 3 and 1 <= shape[2] <= MOST_CHANNELS)
    if not flat_or_coloured or read.dtype.name not in DTYPES:
        raise DataError(
            f"data.augment must have images of height×width or height×width×1 to {MOST_CHANNELS}, of "
            f"{', '.join(DTYPES)}; got samples of {told}: leave data.augment out, or change them in a function of "
            "yours (data.transform)"
        )
    if settings.tones and read.dtype != np.uint8:
        raise DataError(
            f"data.augment.brightness and contrast must have 8-bit images, got samples of {told}: set both to 0, or "
            "change the values in a function of yours (data.transform)"
        )
    if settings.crop and (settings.crop[0] > shape[0] or settings.crop[1] > shape[1]):
        raise DataError(
            f"data.augment.crop must fit into the samples of {told}, got {'×'.join(map(str, settings.crop))}; "
            "lower it, or read larger images (data.target_size)"
        )
