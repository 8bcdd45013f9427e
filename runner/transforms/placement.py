"""Placement of an augmented image: a crop, and one interpolation for every movement."""

from __future__ import annotations

import math

import cv2
import numpy as np

from runner.batch import Array
from runner.transforms.draws import Draws, between, symmetric
from runner.transforms.settings import Augment, FillMode, ResizedCrop

BORDERS: dict[FillMode, int] = {
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
}

HALF = 0.5
"""The share of images that are flipped."""


def window(image: Array, height: int, width: int, draws: Draws) -> Array:
    """A random part of `image` of the given size, as a view; every position is equally likely."""
    top = int(draws.crop_top * (image.shape[0] - height + 1))
    left = int(draws.crop_left * (image.shape[1] - width + 1))
    return image[top : top + height, left : left + width]


def place(image: Array, settings: Augment, draws: Draws, size: tuple[int, int], mask_fill: int | None = None) -> Array:
    """Crop, flip and move `image`, shape `(height, width)` or `(height, width, channels)`; the result has `size`.

    Crops and flips alone keep the exact pixels. All other movements, and flips with them, are one linear interpolation;
    of a mask each pixel shows the nearest one, or `mask_fill` where there is none.
    """
    horizontal = settings.flip in ("horizontal", "horizontal_and_vertical") and draws.flip_horizontal < HALF
    vertical = settings.flip in ("vertical", "horizontal_and_vertical") and draws.flip_vertical < HALF
    if settings.crop and not settings.resized_crop:
        image = window(image, *size, draws)
    if settings.moves:
        matrix = inverse_matrix(*size, settings, draws) @ np.diag([-1 if horizontal else 1, -1 if vertical else 1, 1])
        to_image = _centre(*image.shape[:2])
        if settings.resized_crop:
            to_image = part_matrix(image.shape[:2], size, settings.resized_crop, draws)
        return _interpolated(image, to_image @ matrix, size, settings.fill_mode, mask_fill)
    if horizontal or vertical:
        flipped: Array = cv2.flip(image, -1 if horizontal and vertical else int(horizontal))
        return flipped
    return image


def inverse_matrix(height: int, width: int, settings: Augment, draws: Draws) -> Array:
    """The 3×3 matrix from a pixel of the result, (column, row, 1) from the centre, to its place in the image.

    As in Keras's layers, a positive rotation is counterclockwise, and a zoom above 1 shows more of the image. Keras
    shears from the upper left corner, this from the centre.
    """
    down, right = settings.translation or (0.0, 0.0)
    zoom = 1 + symmetric(draws.zoom, settings.zoom)
    turn = 2 * math.pi * symmetric(draws.turn, settings.rotation)
    cos, sin = zoom * math.cos(turn), zoom * math.sin(turn)
    columns, rows = symmetric(draws.move_right, right) * width, symmetric(draws.move_down, down) * height
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    if settings.shear_x or settings.shear_y:
        x, y = symmetric(draws.shear_x, settings.shear_x), symmetric(draws.shear_y, settings.shear_y)
        matrix = matrix @ np.array([[1, x, 0], [y, 1, 0], [0, 0, 1]])
    moved: Array = matrix @ np.array([[1, 0, -columns], [0, 1, -rows], [0, 0, 1]])
    return moved


def part_matrix(shape: tuple[int, int], size: tuple[int, int], crop: ResizedCrop, draws: Draws) -> Array:
    """The 3×3 matrix from the centre of a result of `size` to a random part of an image of `shape`, which it shows.

    The part has a random area and ratio of width to height, as `crop` says. If it is too large for the image it is
    made smaller, in the same ratio. Each place in the image is equally likely.
    """
    area = between(draws.crop_scale, *crop.scale) * shape[0] * shape[1]
    ratio = math.exp(between(draws.crop_ratio, *map(math.log, crop.ratio))) * size[1] / size[0]
    height, width = math.sqrt(area / ratio), math.sqrt(area * ratio)
    fitting = min(1.0, shape[0] / height, shape[1] / width)
    height, width = height * fitting, width * fitting
    top, left = draws.crop_top * (shape[0] - height), draws.crop_left * (shape[1] - width)
    matrix: Array = np.array(
        [[width / size[1], 0, left + (width - 1) / 2], [0, height / size[0], top + (height - 1) / 2], [0, 0, 1]]
    )
    return matrix


def _centre(height: int, width: int) -> Array:
    """The 3×3 matrix that moves the origin from the centre of an image to its upper left pixel."""
    return np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])


def _interpolated(
    image: Array, from_centre: Array, size: tuple[int, int], fill_mode: FillMode, mask_fill: int | None
) -> Array:
    """The result of `size` whose pixels, counted from its centre, are at `from_centre` in `image`."""
    from_corner = from_centre @ np.linalg.inv(_centre(*size))
    warped: Array = cv2.warpAffine(
        image,
        from_corner[:2],
        (size[1], size[0]),
        flags=cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if mask_fill is None else cv2.INTER_NEAREST),
        borderMode=BORDERS[fill_mode],
        borderValue=mask_fill or 0,
    )
    return warped
