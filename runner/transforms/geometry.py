"""Where the pixels of an image go: flipped, moved, turned and zoomed by a single interpolation."""

from __future__ import annotations

import math

import cv2
import numpy as np

from runner.batch import Array
from runner.transforms.draws import Draws, symmetric
from runner.transforms.settings import Augment, FillMode

# Callers bring their own threads; OpenCV's pool would put more threads than cores to work.
cv2.setNumThreads(1)

BORDERS: dict[FillMode, int] = {
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
}
HALF = 0.5
"""How many of the images are mirrored."""


def place(image: Array, settings: Augment, draws: Draws) -> Array:
    """`image`, shape `(height, width)` or `(height, width, channels)`, as the draws place it; of the same size.

    An image that is only mirrored keeps its very pixels; one that is moved as well is interpolated once, linearly.
    """
    horizontal = settings.flip in ("horizontal", "horizontal_and_vertical") and draws.flip_horizontal < HALF
    vertical = settings.flip in ("vertical", "horizontal_and_vertical") and draws.flip_vertical < HALF
    if settings.moves:
        height, width = image.shape[:2]
        matrix = sources(height, width, settings, draws) @ np.diag([-1 if horizontal else 1, -1 if vertical else 1, 1])
        return _interpolated(image, matrix, settings.fill_mode)
    if horizontal or vertical:
        flipped: Array = cv2.flip(image, -1 if horizontal and vertical else int(horizontal))
        return flipped
    return image


def sources(height: int, width: int, settings: Augment, draws: Draws) -> Array:
    """The matrix that takes a pixel of the result, (column, row, 1) counted from the centre, to where it comes from.

    As in Keras's layers a turn above 0 goes against the clock, and the zoom tells how much is shown (above 1: smaller).
    """
    down, right = settings.translation or (0.0, 0.0)
    zoom = 1 + symmetric(draws.zoom, settings.zoom)
    turn = 2 * math.pi * symmetric(draws.turn, settings.rotation)
    cos, sin = zoom * math.cos(turn), zoom * math.sin(turn)
    columns, rows = symmetric(draws.move_right, right) * width, symmetric(draws.move_down, down) * height
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    moved: Array = matrix @ np.array([[1, 0, -columns], [0, 1, -rows], [0, 0, 1]])
    return moved


def _interpolated(image: Array, matrix: Array, fill_mode: FillMode) -> Array:
    height, width = image.shape[:2]
    centre = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    from_corner = centre @ matrix @ np.linalg.inv(centre)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped: Array = cv2.warpAffine(image, from_corner[:2], (width, height), flags=flags, borderMode=BORDERS[fill_mode])
    return warped
