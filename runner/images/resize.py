"""Nearest and bilinear resizing of arrays: Pillow's pixels, or close to them in a quarter of the time.

Every function takes `image` of shape `(height, width, channels)`, the part of it to show, and `out` of
shape `(target height, target width, channels)`, C-contiguous; both uint8 or both float32. Errors are mean
absolute differences from Pillow's pixels, of 255, measured on ten photographs.

Memory for what is thrown away after each image: one set per thread, kept between images.
"""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from runner.batch import Array
from runner.images.crop import Box

KEPT_BYTES = 1 << 27
"""The largest buffer a thread keeps (128 MiB); a photograph of 24 megapixels needs 72 MB."""


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.by_name: dict[str, Array] = {}


_buffers = _Buffers()


def scratch_bytes(name: str, num_bytes: int) -> Array:
    """The thread's buffer `name`: uint8, at least `num_bytes` long, with anything in it.

    The next call with the same name in the same thread gives the same memory again: touching fresh pages would
    cost each image time.
    """
    buffer = _buffers.by_name.get(name)
    if buffer is None or buffer.size < num_bytes:
        buffer = np.empty(num_bytes, np.uint8)
        if num_bytes <= KEPT_BYTES:
            _buffers.by_name[name] = buffer
    return buffer


def scratch_array(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The thread's buffer `name` as an array of `shape` and `dtype`."""
    num_bytes = math.prod(shape) * dtype.itemsize
    return np.ndarray(shape, dtype, buffer=scratch_bytes(name, num_bytes))


# Callers bring their own threads; OpenCV's pool would put more threads than cores to work.
cv2.setNumThreads(1)

_LITTLE_SHRINK = 1.05
"""Up to here linear interpolation alone errs by less than 0.4."""

_MUCH_SHRINK = 5.5
"""From here on the blur would take so many taps that means are quicker; these are left to be blurred:"""
_THINNED = 3
"""samples per pixel."""


def resize_nearest(image: Array, box: Box, out: Array) -> None:
    """Each pixel of `out` is the one of `image` its centre falls on: Pillow's `NEAREST`, bit for bit."""
    rows = _nearest(box.top, box.bottom, out.shape[0])
    columns = _nearest(box.left, box.right, out.shape[1])
    # mode: "raise" would gather into a buffer first
    np.take(image.take(rows, axis=0), columns, axis=1, out=out, mode="clip")


def resize_linear(image: Array, box: Box, out: Array) -> None:
    """Between the four pixels around each centre: `tf.image.resize(antialias=False)`, to ±1."""
    cv2.resize(_part(image, box), out.shape[1::-1], dst=out, interpolation=cv2.INTER_LINEAR)


def resize_antialiased(image: Array, box: Box, out: Array) -> None:
    """Close to Pillow's `BILINEAR`, a triangle two steps wide: a mean error of at most 0.8 on photographs.

    Linear interpolation of an image that is blurred as much as the triangle is wider than linear interpolation. Where
    an axis shrinks so much that this would take many taps, means over equal shares of it are blurred in its place.
    """
    height, width = out.shape[:2]
    part = _thinned(_part(image, box), height, width)
    horizontal, vertical = _blur(part.shape[1], width, box.width), _blur(part.shape[0], height, box.height)
    if horizontal.taps > 1 or vertical.taps > 1:
        part = cv2.GaussianBlur(
            part,
            (horizontal.taps, vertical.taps),
            sigmaX=horizontal.sigma,
            sigmaY=vertical.sigma,
            dst=scratch_array("blurred", part.shape, part.dtype),
            borderType=cv2.BORDER_REPLICATE,
        )
    cv2.resize(part, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)


class _Blur(NamedTuple):
    """A Gaussian along one axis: over how many samples, and how wide."""

    taps: int
    sigma: float


_NO_BLUR = _Blur(1, 1.0)


@lru_cache(maxsize=1 << 14)
def _blur(samples: int, pixels: int, source: int) -> _Blur:
    """The blur along an axis of `samples`, means of equal shares of a `source`, before it shrinks to `pixels`.

    Variances add up. That of the triangle is step²/6, in samples; linear interpolation has its part of it, 1/6 on the
    average over all places between two samples, and so have the means, of which a share of k has (1 − 1/k²)/12.
    """
    step = samples / pixels
    if step <= _LITTLE_SHRINK:
        return _NO_BLUR
    variance = (step**2 - 1) / 6 - (1 - (samples / source) ** 2) / 12
    taps = max(3, 2 * round(step + 0.1) - 1)  # below that a Gaussian would be wider than its taps
    return _Blur(taps, _sigma(taps, variance))


def _sigma(taps: int, variance: float) -> float:
    """The sigma of a Gaussian that has this variance when it is cut to so many taps, by bisection."""
    squares = (np.arange(taps) - taps // 2) ** 2
    low, high = 0.1, 10.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        weights = np.exp(-squares / (2 * middle**2))
        low, high = (middle, high) if np.average(squares, weights=weights) < variance else (low, middle)
    return low


def _thinned(image: Array, height: int, width: int) -> Array:
    """`image` with each axis that shrinks much thinned, by means."""
    rows, columns = image.shape[:2]
    thin_rows = _thin(rows, height)
    thin_columns = _thin(columns, width)
    if (thin_rows, thin_columns) == (rows, columns):
        return image
    thinned = scratch_array("thinned", (thin_rows, thin_columns, image.shape[2]), image.dtype)
    cv2.resize(image, (thin_columns, thin_rows), dst=thinned, interpolation=cv2.INTER_AREA)
    return thinned


def _thin(samples: int, pixels: int) -> int:
    return _THINNED * pixels if samples > _MUCH_SHRINK * pixels else samples


def _part(image: Array, box: Box) -> Array:
    return image[box.top : box.bottom, box.left : box.right]


def _nearest(start: int, stop: int, num_pixels: int) -> Array:
    """Which of the pixels `start` to `stop` (excluded) each of `num_pixels` shows.

    Pillow (`ImagingScaleAffine`) adds up the step in double precision; where a centre falls between
    two pixels the sum's rounding errors decide, so they are repeated here.
    """
    step = (stop - start) / num_pixels
    positions = np.full(num_pixels, step)
    positions[0] = start + 0.5 * step
    return np.add.accumulate(positions).astype(np.int64)
