"""Nearest and bilinear resizing of arrays: Pillow's pixels, or close to them in a quarter of the time.

Every function takes `image` of shape `(height, width, channels)`, the part of it to show, and `out` of
shape `(target height, target width, channels)`, C-contiguous; both uint8 or both float32. Errors are mean
absolute differences from Pillow's pixels, of 255, measured on ten photographs.
"""

from __future__ import annotations

import cv2
import numpy as np

from runner.images.crop import Box
from runner.images.scratch import scratch_array
from runner.samples import Array

# Callers bring their own threads; OpenCV's pool would put more threads than cores to work.
cv2.setNumThreads(1)

_LITTLE_SHRINK = 1.1
"""Up to here linear is as close to the antialiased filter as two samples per pixel: both err by 0.5."""

_MUCH_SHRINK = 2.6
"""From here on the mean of two samples per pixel is too sharp: at 3 it errs by 1.5, blurred by 0.7."""


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
    """Close to Pillow's `BILINEAR`, a triangle two steps wide: a mean error below 1.5 on photographs.

    Along an axis that shrinks, two samples per pixel are averaged, and blurred where that is too sharp.
    Samples more than two source pixels apart are means over their share of the source: linear
    interpolation would see only two pixels of it. Along an axis that grows Pillow's filter is linear, too.
    """
    vertical, horizontal = box.height / out.shape[0], box.width / out.shape[1]
    height = out.shape[0] * (1 if vertical <= _LITTLE_SHRINK else 2)
    width = out.shape[1] * (1 if horizontal <= _LITTLE_SHRINK else 2)
    part = _thinned(_part(image, box), height, width)
    if (height, width) == out.shape[:2]:
        cv2.resize(part, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)
        return
    samples = _resized("samples", part, height, width, cv2.INTER_LINEAR)
    kernel = (3 if _is_too_sharp(horizontal) else 1, 3 if _is_too_sharp(vertical) else 1)
    if kernel != (1, 1):
        # (1, 2, 1)/4; the mean of two then weighs the four nearest samples (1, 3, 3, 1)/8: the triangle
        blurred = scratch_array("blurred", samples.shape, samples.dtype)
        samples = cv2.GaussianBlur(samples, kernel, 0, dst=blurred, borderType=cv2.BORDER_REPLICATE)
    cv2.resize(samples, out.shape[1::-1], dst=out, interpolation=cv2.INTER_AREA)


def _is_too_sharp(shrink: float) -> bool:
    # at exactly 2 the samples are pixels: linear interpolation, which elsewhere blurs them a little, does not,
    # and the error is 1.5 in place of 0.9 to 1.0 (blurred: 0.4)
    return shrink >= _MUCH_SHRINK or shrink == 2


def _thinned(image: Array, height: int, width: int) -> Array:
    """`image` with each axis that is more than twice as long as asked for made that long, by means."""
    rows, columns = image.shape[:2]
    if rows <= 2 * height and columns <= 2 * width:
        return image
    thin_rows = height if rows > 2 * height else rows
    thin_columns = width if columns > 2 * width else columns
    return _resized("thinned", image, thin_rows, thin_columns, cv2.INTER_AREA)


def _resized(name: str, image: Array, height: int, width: int, interpolation: int) -> Array:
    if image.shape[:2] == (height, width):
        return image
    result = scratch_array(name, (height, width, image.shape[2]), image.dtype)
    cv2.resize(image, (width, height), dst=result, interpolation=interpolation)
    return result


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
