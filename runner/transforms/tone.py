"""What becomes of the values of an 8-bit image's pixels: brightness and contrast, as one table."""

from __future__ import annotations

import cv2
import numpy as np

from runner.batch import Array
from runner.transforms.draws import Draws, symmetric
from runner.transforms.settings import Augment

LEVELS = np.arange(256)


def tone(image: Array, settings: Augment, draws: Draws) -> Array:
    """`image`, uint8, with brightness and contrast as drawn: each value looked up, rounded and clipped once."""
    offset = 255 * symmetric(draws.brightness, settings.brightness)
    factor = 1 + symmetric(draws.contrast, settings.contrast)
    channels = image.shape[2] if image.ndim == 3 else 1
    means = np.array(cv2.mean(image)[:channels]) if settings.contrast else np.zeros(1)
    levels = (LEVELS[:, None] - means) * factor + means + offset
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    toned: Array = cv2.LUT(image, table[None])
    return toned
