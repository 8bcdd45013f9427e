"""The size of images as they are stored, and masks that a model predicts, put back to it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from runner.batch import Array, Indices
from runner.errors import BadSampleError, reason
from runner.images.crop import Box, crop_box
from runner.place import Place


@dataclass(frozen=True)
class OriginalSize:
    """Enlarges masks to the size of their images: each pixel shows the pixel of the mask that covers its centre.

    The part of an image that its model saw is the box of `crop_box`, resized to `target_size`; of that, with `crop`,
    the centre that has the shape of `crop`.
    """

    target_size: tuple[int, int]
    keep_aspect_ratio: bool = False
    crop: tuple[int, int] | None = None

    @property
    def leaves_out(self) -> bool:
        """Whether the model may see only a part of an image."""
        return self.keep_aspect_ratio or self.crop is not None

    def enlarged(self, mask: Array, size: tuple[int, int], fill: int) -> Array:
        """`mask`, shape `(height, width)`, at the size of its image; `fill` where the model saw nothing of it.

        Raises `ValueError` for an image that is too thin to be cropped.
        """
        whole = crop_box(size, self.target_size, keep_aspect_ratio=self.keep_aspect_ratio)
        part = Box(0, 0, *self.target_size)
        if self.crop is not None:
            part = crop_box(self.target_size, self.crop, keep_aspect_ratio=True)
        heights = (self.target_size[0], part.top, part.bottom, mask.shape[0])
        widths = (self.target_size[1], part.left, part.right, mask.shape[1])
        top, rows = _covering(whole.top, whole.bottom, *heights)
        left, columns = _covering(whole.left, whole.right, *widths)
        shown = mask.take(rows, axis=0).take(columns, axis=1)
        if shown.shape == size:
            return shown
        image = np.full(size, fill, np.promote_types(mask.dtype, np.min_scalar_type(fill)))
        image[top : top + len(rows), left : left + len(columns)] = shown
        return image


def _covering(start: int, stop: int, target: int, first: int, end: int, num_pixels: int) -> tuple[int, Indices]:
    """The first stored pixel that the mask covers, and the pixel of the mask over the centre of each one it covers.

    The stored pixels from `start` to `stop` became `target` ones, of which those from `first` to `end` became
    `num_pixels` of the mask. All numbers are whole, so that no rounding decides where a centre lies on an edge.
    """
    centres = 2 * np.arange(stop - start, dtype=np.int64) + 1  # in halves of a stored pixel
    share = 2 * (stop - start)
    pixels = ((centres * target - first * share) * num_pixels) // ((end - first) * share)
    begin, past = np.searchsorted(pixels, (0, num_pixels))
    return start + int(begin), pixels[begin:past]


def read_stored_size(place: Place) -> tuple[int, int]:
    """Height and width of the image at `place` as it is stored.

    Raises `BadSampleError` if it is missing or is no image.
    """
    from runner.images.exact import opened

    try:
        with opened(io.BytesIO(place.read())) as image:
            return image.height, image.width
    except (MemoryError, BadSampleError):
        raise
    # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error and others.
    except Exception as error:
        raise BadSampleError(place.name, reason(error)) from error
