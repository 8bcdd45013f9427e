"""What chance decides about one image in one epoch."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from runner.seeds import Purpose, derive


class Draws(NamedTuple):
    """Points of [0, 1), one for each decision whether it is asked for or not, so that none depends on another.

    New decisions are added at the end: each draw keeps its place in the stream.
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

    @classmethod
    def of(cls, seed: int, epoch: int, index: int) -> Self:
        """Those of sample `index` in `epoch`: a hash of the three, the same wherever and whenever it is asked for."""
        words = derive(seed, Purpose.AUGMENT, epoch, index).generate_state(len(cls._fields), np.uint64)
        # the upper 53 bits, as many as a float64 holds exactly
        return cls(*((words >> np.uint64(11)) * np.float64(2**-53)).tolist())


def symmetric(point: float, most: float) -> float:
    """A point of [0, 1) as a number from `-most` to `most`."""
    return (2 * point - 1) * most
