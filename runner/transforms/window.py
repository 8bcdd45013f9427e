"""The part of an image that is shown: anywhere while training, else as much as there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runner.batch import Array, ArraySpec
from runner.images.crop import crop_box
from runner.images.resize import resize_antialiased
from runner.transforms.draws import Draws


def window(image: Array, height: int, width: int, draws: Draws) -> Array:
    """A part of `image` of the given size, anywhere in it with the same probability; a view."""
    top = int(draws.crop_top * (image.shape[0] - height + 1))
    left = int(draws.crop_left * (image.shape[1] - width + 1))
    return image[top : top + height, left : left + width]


@dataclass(frozen=True)
class Fit:
    """The largest centred part of an image in the shape of `spec`, resized to it.

    What `keras.layers.RandomCrop` says it shows at inference.
    """

    spec: ArraySpec

    def __call__(self, array: Array, epoch: int, index: int) -> Array:
        """The same part in every epoch."""
        fitted = np.empty(self.spec.shape, self.spec.dtype)
        box = crop_box(array.shape[:2], fitted.shape[:2], keep_aspect_ratio=True)
        with_channels = (*fitted.shape[:2], *(fitted.shape[2:] or (1,)))
        resize_antialiased(array.reshape(*array.shape[:2], -1), box, fitted.reshape(with_channels))
        return fitted
