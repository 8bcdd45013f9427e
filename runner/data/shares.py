"""Shares: how much of the data each split gets, as points of [0, 1) and as samples of a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.batch import SPLITS, Indices
from runner.data.points import Points

TRAIN, VALIDATION, TEST = range(len(SPLITS))
Codes = NDArray[np.int8]
"""The split of each sample, a number above."""

NumBelow = Callable[[float], Indices]
"""How many units of each stratum have a point below an edge."""

RUN_SPLITS = np.array([TRAIN, VALIDATION, TRAIN, TEST], np.int8)


@dataclass(frozen=True)
class SplitRuns:
    """The units of each stratum in the order of their points, as runs of one split each."""

    lengths: Indices
    """Shape `(strata, 4)`: for training, for validation, for training, and for the test."""

    raised: dict[str, int]
    """How many units a split has beyond its share, because each stratum must have one."""

    def splits(self) -> Codes:
        """The split of each unit, for units sorted by stratum, then by point."""
        return np.repeat(np.tile(RUN_SPLITS, len(self.lengths)), self.lengths.ravel())


@dataclass(frozen=True)
class Shares:
    """The shares to hold out. Raises `ValueError` unless they are at least 0, and below 1 together."""

    validation: float = 0.0
    test: float = 0.0

    def __post_init__(self) -> None:
        for split, share in {"validation": self.validation, "test": self.test}.items():
            if not 0 <= share < 1:
                raise ValueError(f"{split} must be a fraction from 0 to below 1, got {share}")
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation + test must be below 1, got {self.validation} + {self.test}: no samples would be left; "
                "lower one"
            )

    @property
    def splits(self) -> dict[str, int]:
        """The splits that are made, with their numbers."""
        made = {"train": TRAIN}
        made |= {"validation": VALIDATION} if self.validation > 0 else {}
        return made | ({"test": TEST} if self.test > 0 else {})

    def cut(self, points: Points) -> Codes:
        """The split of each point: the first are for validation, the last for the test."""
        codes = np.full(len(points), TRAIN, np.int8)
        codes[points < self.validation] = VALIDATION
        codes[points >= 1 - self.test] = TEST
        return codes

    def runs(self, sizes: Indices, num_below: NumBelow, *, keeps_one: bool) -> SplitRuns:
        """The runs of strata with `sizes` units.

        With `keeps_one`, a stratum of one unit is for training, one of two for training and validation, and each larger
        one has a unit in each split. The test split does not depend on how large the share of validation is.
        """
        num_test = share_of_test = sizes - num_below(1 - self.test) if self.test else np.zeros_like(sizes)
        if keeps_one and self.test:
            others = 2 if self.validation else 1
            num_test = np.clip(num_test, 1, None)
            num_test = np.minimum(num_test, np.maximum(sizes - others, 0))
        pool = sizes - num_test
        num_validation = share = np.minimum(num_below(self.validation), pool)
        if keeps_one and self.validation:
            num_validation = np.minimum(np.maximum(share, 1), np.maximum(pool - 1, 0))
        lengths = [np.zeros_like(sizes), num_validation, pool - num_validation, num_test]
        raised = {
            "validation": int(np.maximum(num_validation - share, 0).sum()),
            "test": int(np.maximum(num_test - share_of_test, 0).sum()),
        }
        return SplitRuns(np.stack(lengths, axis=1), raised)
