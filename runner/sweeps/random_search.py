"""`sweep.search=random`: every trial is a draw of its own, by the search's seed and the trial's number alone."""

from __future__ import annotations

import math

import numpy as np

from runner.seeds import Purpose, derive
from runner.sweeps.space import Interval, Listed, Space, Values


class RandomSearch:
    """Draws uniformly, over magnitudes where a range is logarithmic."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed

    def propose(self, number: int) -> Values:
        """The draw of that number: a pure function of seed and number, so that no state has to be kept."""
        random = np.random.default_rng(derive(self.seed, Purpose.SEARCH, number))
        return {key: _draw(dimension, random) for key, dimension in self.space.items()}

    def report(self, number: int, epoch: int, value: float) -> None:
        """Chance learns nothing."""

    def gives_up(self, number: int) -> bool:
        """Never."""
        return False

    def tell(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """Chance learns nothing."""

    def close(self) -> None:
        """Nothing is open."""


def _draw(dimension: Interval | Listed, random: np.random.Generator) -> str:
    if isinstance(dimension, Listed):
        return dimension.values[int(random.integers(len(dimension.values)))]
    low, high = dimension.low, dimension.high
    if dimension.whole and not dimension.log:
        return repr(int(random.integers(int(low), int(high), endpoint=True)))
    if not dimension.log:
        return repr(_within(random.uniform(low, high), dimension))
    if not dimension.whole:
        return repr(_within(math.exp(random.uniform(math.log(low), math.log(high))), dimension))
    # Each whole number has the width it is rounded from, so that both ends are as likely as their neighbours.
    drawn = math.exp(random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
    return repr(int(_within(round(drawn), dimension)))


def _within(value: float, interval: Interval) -> float:
    """Rounding may carry a draw over an end."""
    return min(max(value, interval.low), interval.high)
