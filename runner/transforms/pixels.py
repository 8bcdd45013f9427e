"""Pixel values of an augmented image: colours, brightness and contrast, blur, and an erased rectangle.

Masks are not changed by any of this.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from runner.batch import Array
from runner.seeds import Purpose, derive
from runner.transforms.draws import Draws, between, symmetric
from runner.transforms.settings import Augment, Erasing, GaussianBlur, Shares

LEVELS = np.arange(256)

RGB = 3
"""Channels of a colour image."""

LEAST_SIGMA = 1e-6
"""As in Keras; OpenCV takes 0 for a sigma that follows from the kernel's size."""


def repainted(image: Array, settings: Augment, draws: Draws) -> Array:
    """`image` with random colours, brightness, contrast and blur, in this order; of the same shape and dtype."""
    if settings.colors:
        image = recolored(image, settings, draws)
    if settings.tones:
        image = tone(image, settings, draws)
    if draws.grayscale < settings.grayscale:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if settings.blur and draws.blur < settings.blur.factor:
        image = blurred(image, settings.blur, draws)
    return image


def recolored(image: Array, settings: Augment, draws: Draws) -> Array:
    """`image`, uint8, shape `(height, width, 3)`, with random hue and saturation.

    Hue, saturation and value have 8 bits, which is six times faster than 32 and up to 4 of 255 away from them.
    """
    turn = 256 * symmetric(draws.hue, settings.hue / 2)
    table = np.empty((256, RGB), np.uint8)
    table[:, 0] = np.rint(LEVELS + turn) % 256
    table[:, 1] = np.clip(np.rint(LEVELS * _saturation(draws.saturation, settings.saturation)), 0, 255)
    table[:, 2] = LEVELS
    changed = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), table[None])
    recolored: Array = cv2.cvtColor(changed, cv2.COLOR_HSV2RGB_FULL)
    return recolored


def _saturation(point: float, wanted: Shares | None) -> float:
    """The factor of the saturation, as in Keras: a share of 0.5 leaves it, 1 is as much as there is."""
    share = between(point, *wanted) if wanted else 0.5
    return share / max(1 - share, 1 / 255)


def tone(image: Array, settings: Augment, draws: Draws) -> Array:
    """`image`, uint8, with random brightness and contrast; each value is looked up, so it is rounded once."""
    offset = 255 * symmetric(draws.brightness, settings.brightness)
    factor = 1 + symmetric(draws.contrast, settings.contrast)
    channels = image.shape[2] if image.ndim == 3 else 1
    means = np.array(cv2.mean(image)[:channels]) if settings.contrast else np.zeros(1)
    levels = (LEVELS[:, None] - means) * factor + means + offset
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    toned: Array = cv2.LUT(image, table[None])
    return toned


def blurred(image: Array, settings: GaussianBlur, draws: Draws) -> Array:
    """`image` after a Gaussian filter; beyond its edge it is mirrored, where Keras takes black."""
    size = (settings.kernel_size, settings.kernel_size)
    x, y = (between(point, *settings.sigma) + LEAST_SIGMA for point in (draws.blur_x, draws.blur_y))
    smooth: Array = cv2.GaussianBlur(image, size, sigmaX=x, sigmaY=y)
    return smooth


def erased(image: Array, settings: Erasing, draws: Draws, *, noise: np.random.SeedSequence) -> Array:
    """A copy of `image` with a rectangle of one value, or of noise as in Keras; `image` itself if none is drawn."""
    if draws.erase >= settings.factor:
        return image
    rows = _side(image.shape[0], between(draws.erase_height, *settings.scale), draws.erase_top)
    columns = _side(image.shape[1], between(draws.erase_width, *settings.scale), draws.erase_left)
    changed = image.copy()
    if settings.fill_value is None:
        shape = changed[rows, columns].shape
        values = np.random.default_rng(noise).standard_normal(shape, np.float32) * 255
        changed[rows, columns] = np.clip(values, 0, 255).astype(np.uint8)
    else:
        changed[rows, columns] = settings.fill_value
    return changed


def _side(length: int, scale: float, point: float) -> slice:
    """The pixels of one side of the rectangle, those whose centre is within it; Keras never erases the first one."""
    side = math.sqrt(scale) * length
    start = point * (length - side)
    return slice(math.ceil(start - 0.5), math.ceil(start + side - 0.5))


def noise_seed(seed: int, number: int, index: int) -> np.random.SeedSequence:
    """The stream of the noise in the erased rectangle of sample `index` in pass `number`."""
    return derive(seed, Purpose.ERASE, number, index)
