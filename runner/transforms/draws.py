"""Draws: what chance decides about the augmentation of one image, and how a point of [0, 1) becomes a value."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from runner.seeds import Purpose, derive


class Draws(NamedTuple):
    """Random points of [0, 1), one per decision, used or not: no setting affects the draws of another.

    New decisions must be added at the end, so that each draw keeps its place in the stream.
    """

    flip_horizontal: float
    flip_vertical: float
    crop_top: float
    crop_left: float
    move_down: float
    move_right: float
    turn: float
    zoom: float
    brightness: float
    contrast: float
    crop_scale: float
    crop_ratio: float
    shear_x: float
    shear_y: float
    hue: float
    saturation: float
    grayscale: float
    blur: float
    blur_x: float
    blur_y: float
    erase: float
    erase_width: float
    erase_height: float
    erase_left: float
    erase_top: float

    @classmethod
    def of(cls, seed: int, number: int, index: int) -> Self:
        """The draws for sample `index` in pass `number`, a hash of the three arguments."""
        words = derive(seed, Purpose.AUGMENT, number, index).generate_state(len(cls._fields), np.uint64)
        # The upper 53 bits, which a float64 holds exactly.
        return cls(*((words >> np.uint64(11)) * np.float64(2**-53)).tolist())


def symmetric(point: float, most: float) -> float:
    """Map a point of [0, 1) to the range from `-most` to `most`."""
    return (2 * point - 1) * most


def between(point: float, low: float, high: float) -> float:
    """Map a point of [0, 1) to the range from `low` to `high`.

    >>> between(0.25, 2, 4)
    2.5
    """
    return low + point * (high - low)
