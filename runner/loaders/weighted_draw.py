"""`loader.draw_by`: an order in which each sample comes as often as its weight says, by a systematic draw.

    weights, added up in a seeded order ─> a line as long as an epoch ─> one draw at x + u for each whole x, permuted

Each epoch draws a sample floor or ceil of (samples · weight / sum of the weights) times, and that exactly on average,
because u is uniform. With equal weights each sample comes once. Drawing with replacement, as PyTorch's
`WeightedRandomSampler` does by default, would show 63% of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from runner.batch import Array
from runner.loaders.draw import Draw
from runner.loaders.permutation import Permutation
from runner.seeds import Purpose, derive

MANTISSA_BITS = 53
"""Bits of a float64, in which positions and starts are added without rounding."""

OCCURRENCE_STEP = 2**32
"""Passes between two occurrences of a sample in an epoch, so that none is the first one of a later epoch."""


@dataclass(frozen=True, eq=False)
class WeightedDraw:
    """Draws as many samples as there are, each by its weight. `order` and `ends` have shape `(samples,)`.

    `order[k]` has the part of the line from `ends[k - 1]` to `ends[k]`; the line is `num_draws` long.
    """

    order: NDArray[np.integer]
    ends: NDArray[np.float64]

    @classmethod
    def of(cls, weights: Array, seed: int) -> Self:
        """The draw for the weights of all samples, at least 0 and not all 0; 12 bytes a sample.

        Neighbours in the table are seldom alike in how they are drawn: the weights are added up in a seeded order.
        """
        num_samples = len(weights)
        order = Permutation.seeded(num_samples, derive(seed, Purpose.DRAW_TABLE))(np.arange(num_samples))
        ends = np.cumsum(weights[order], dtype=np.float64)
        ends /= ends[-1] / num_samples  # so exact for equal weights
        ends[ends >= ends[-1]] = num_samples
        return cls(order.astype(np.uint32 if num_samples < 2**32 else np.int64), ends)

    @property
    def num_draws(self) -> int:
        """Draws in an epoch."""
        return len(self.order)

    def at(self, seed: int, epoch: int, start: int, stop: int) -> Draw:
        """The draws at positions start … stop - 1 of an epoch.

        The pass of a sample's first draw in an epoch is the epoch, as where all samples come once.
        """
        u = _start(seed, epoch, self.num_draws)
        points = _order(self.num_draws, seed, epoch)(np.arange(start, stop)) + u
        by_point = points.argsort()  # in order, the search finds what it reads in the CPU cache
        parts = np.empty_like(by_point)
        parts[by_point] = np.searchsorted(self.ends, points[by_point], side="right")
        begins = np.where(parts > 0, self.ends[parts - 1], 0.0)
        first = np.ceil(begins - u) + u
        first += first < begins
        occurrences = (points - first).astype(np.int64)
        return Draw(self.order[parts].astype(np.int64), epoch + OCCURRENCE_STEP * occurrences)


def _start(seed: int, epoch: int, num_draws: int) -> float:
    """A number of [0, 1) with so few bits that adding a position to it is exact."""
    bits = MANTISSA_BITS - num_draws.bit_length()
    word = int(derive(seed, Purpose.DRAW_START, epoch).generate_state(1, np.uint64)[0])
    return float((word >> (64 - bits)) / 2**bits)


@lru_cache(maxsize=4)
def _order(num_draws: int, seed: int, epoch: int) -> Permutation:
    return Permutation.seeded(num_draws, derive(seed, Purpose.ORDER, epoch))
