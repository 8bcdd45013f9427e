"""Boxes in an image: the part that is shown and resized."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right` of an image, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    def shrunk(self, factor: int) -> Box:
        """The box in the same image at 1/`factor` of its size, to the nearest pixel."""
        if factor == 1:
            return self
        return Box(*(round(edge / factor) for edge in self))


def crop_box(size: tuple[int, int], target_size: tuple[int, int], *, keep_aspect_ratio: bool) -> Box:
    """The whole of an image of `size` (height, width), or its centre with the aspect ratio of `target_size`.

    The arithmetic is that of `keras.utils.load_img`, rounding included. Raises `ValueError` if no pixels are left:
    a long thin image and a target of the other orientation.

    >>> crop_box((100, 300), (50, 50), keep_aspect_ratio=True)
    Box(top=0, left=100, bottom=100, right=200)
    """
    height, width = size
    if not keep_aspect_ratio:
        return Box(0, 0, height, width)
    target_height, target_width = target_size
    crop_height = min(height, width * target_height // target_width)
    crop_width = min(width, height * target_width // target_height)
    if not crop_height or not crop_width:
        raise ValueError(f"{height}x{width} pixels are too thin to crop to the shape of {target_height}x{target_width}")
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return Box(top, left, top + crop_height, left + crop_width)
