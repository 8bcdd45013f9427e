"""Nearest and bilinear resizing of arrays: Pillow's pixels, or close to them in a quarter of the time.

The functions `resize_*` take `image`, shape `(height, width, channels)`; the box of it to show; and `out`, shape
`(target height, target width, channels)`, C-contiguous. Both arrays are uint8 or both float32. Errors are mean
absolute differences from Pillow's pixels, of 255, measured on ten photographs. Each thread keeps its scratch memory
between images.
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
"""The largest buffer that a thread keeps (128 MiB); a photograph of 24 megapixels needs 72 MB."""


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.by_name: dict[str, Array] = {}


_buffers = _Buffers()


def scratch_bytes(name: str, num_bytes: int) -> Array:
    """The thread's buffer `name`: uint8, shape `(n,)` with n at least `num_bytes`, uninitialised.

    The next call with the same name in the same thread returns the same memory, because fresh pages cost time.
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


# Workers are threads already. OpenCV's pool would run more threads than there are cores.
cv2.setNumThreads(1)

NEAREST_IS_EXACT = int(cv2.__version__.partition(".")[0]) >= 5
"""Whether OpenCV's nearest pixel is Pillow's where a centre lies between two; version 4 takes the other one."""

_LITTLE_SHRINK = 1.05
"""Shrinking up to which plain linear interpolation has an error below 0.4."""

_MUCH_SHRINK = 5.5
"""Shrinking from which means are faster than a blur of many taps."""
_THINNED = 3
"""Means per pixel, which are blurred afterwards."""


def resize_nearest(image: Array, box: Box, out: Array) -> None:
    """Resize like Pillow's `NEAREST`, bit for bit: each target pixel shows the pixel under its centre."""
    rows = _nearest(box.top, box.bottom, out.shape[0])
    columns = _nearest(box.left, box.right, out.shape[1])
    # mode="clip" writes straight into `out`; the default copies into a buffer first.
    np.take(image.take(rows, axis=0), columns, axis=1, out=out, mode="clip")


def resize_mask(mask: Array, box: Box, out: Array) -> None:
    """The same for a mask, shape `(height, width)`, uint8 or uint16; from OpenCV 5 on in two thirds of the time."""
    if NEAREST_IS_EXACT:
        cv2.resize(_part(mask, box), out.shape[::-1], dst=out, interpolation=cv2.INTER_NEAREST_EXACT)
    else:
        resize_nearest(mask, box, out)


def resize_linear(image: Array, box: Box, out: Array) -> None:
    """Resize like `tf.image.resize(antialias=False)`, to ±1: interpolate the four pixels around each centre."""
    cv2.resize(_part(image, box), out.shape[1::-1], dst=out, interpolation=cv2.INTER_LINEAR)


def resize_antialiased(image: Array, box: Box, out: Array) -> None:
    """Resize like Pillow's `BILINEAR`, a triangle two steps wide, with a mean error of at most 0.8 on photographs.

    The image is blurred by the difference between the triangle and linear interpolation, then interpolated linearly.
    An axis that shrinks so much that the blur would take many taps is first reduced to means over equal shares of it.
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
    """A Gaussian along one axis: its number of taps and its width."""

    taps: int
    sigma: float


_NO_BLUR = _Blur(1, 1.0)


@lru_cache(maxsize=1 << 14)
def _blur(samples: int, pixels: int, source: int) -> _Blur:
    """The blur of an axis before it shrinks to `pixels`; its `samples` are means of equal shares of `source` pixels.

    Variances add up. The triangle has step²/6, in samples. Linear interpolation contributes 1/6 of that on average over
    all positions between two samples, and means over k pixels contribute (1 − 1/k²)/12. The blur provides the rest.
    """
    step = samples / pixels
    if step <= _LITTLE_SHRINK:
        return _NO_BLUR
    variance = (step**2 - 1) / 6 - (1 - (samples / source) ** 2) / 12
    taps = max(3, 2 * round(step + 0.1) - 1)  # with fewer, the Gaussian would be wider than its taps
    return _Blur(taps, _sigma(taps, variance))


def _sigma(taps: int, variance: float) -> float:
    """The sigma of a Gaussian that has this variance when truncated to `taps`, found by bisection."""
    squares = (np.arange(taps) - taps // 2) ** 2
    low, high = 0.1, 10.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        weights = np.exp(-squares / (2 * middle**2))
        low, high = (middle, high) if np.average(squares, weights=weights) < variance else (low, middle)
    return low


def _thinned(image: Array, height: int, width: int) -> Array:
    """`image` with means along each axis that shrinks much."""
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


@lru_cache(maxsize=1 << 10)
def _nearest(start: int, stop: int, num_pixels: int) -> Array:
    """The pixel from `start` to `stop` (excluded) that each of `num_pixels` shows, shape `(num_pixels,)`, int64.

    Pillow (`ImagingScaleAffine`) adds up the step in double precision. If a centre falls between two pixels, the
    rounding errors of that sum decide, so this function repeats them.
    """
    step = (stop - start) / num_pixels
    positions = np.full(num_pixels, step)
    positions[0] = start + 0.5 * step
    pixels: Array = np.add.accumulate(positions).astype(np.int64)
    pixels.flags.writeable = False  # all calls share it
    return pixels
