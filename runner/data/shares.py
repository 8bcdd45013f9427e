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
class Fold:
    """One of `of` folds, each of which validates once; numbers begin at 0."""

    number: int
    of: int

    def edge(self, more: int) -> float:
        """The share of all samples in the folds before this one, or in `more` of them.

        >>> Fold(0, 5).edge(1), Fold(4, 5).edge(1)
        (0.2, 1.0)
        """
        return (self.number + more) / self.of

    @property
    def is_last(self) -> bool:
        """Whether no fold comes after it."""
        return self.number + 1 == self.of


@dataclass(frozen=True)
class Shares:
    """The shares to hold out. Raises `ValueError` unless they are at least 0, and below 1 together."""

    validation: float = 0.0
    test: float = 0.0
    fold: Fold | None = None
    """The fold of what is not for the test that validates, in place of a share."""

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
        made |= {"validation": VALIDATION} if self.validates else {}
        return made | ({"test": TEST} if self.test > 0 else {})

    @property
    def validates(self) -> bool:
        """Whether there is a validation split."""
        return self.validation > 0 or self.fold is not None

    @property
    def validation_edges(self) -> tuple[float, float]:
        """The points that are for validation begin at the first, and end before the second."""
        if self.fold is None:
            return 0.0, self.validation
        return self.fold.edge(0) * (1 - self.test), self.fold.edge(1) * (1 - self.test)

    def cut(self, points: Points) -> Codes:
        """The split of each point: the first are for validation, or those of the fold; the last for the test."""
        low, high = self.validation_edges
        codes = np.full(len(points), TRAIN, np.int8)
        codes[(points >= low) & (points < high)] = VALIDATION
        codes[points >= 1 - self.test] = TEST
        return codes

    def runs(self, sizes: Indices, num_below: NumBelow, *, keeps_one: bool) -> SplitRuns:
        """The runs of strata with `sizes` units.

        With `keeps_one`, a stratum of one unit is for training, one of two for training and validation, and each larger
        one has a unit in each split. The test split does not depend on how large the share of validation is. Folds keep
        one for the test alone: each unit validates in one fold.
        """
        num_test = share_of_test = sizes - num_below(1 - self.test) if self.test else np.zeros_like(sizes)
        if keeps_one and self.test:
            others = 2 if self.validates else 1
            num_test = np.minimum(np.maximum(num_test, 1), np.maximum(sizes - others, 0))
        pool = sizes - num_test
        low, high = (np.minimum(num_below(edge), pool) for edge in self.validation_edges)
        if self.fold is not None and self.fold.is_last:
            high = pool
        share = high - low
        if keeps_one and self.validation and self.fold is None:
            high = np.minimum(np.maximum(high, 1), np.maximum(pool - 1, 0))
        raised = {
            "validation": int(np.maximum(high - low - share, 0).sum()),
            "test": int(np.maximum(num_test - share_of_test, 0).sum()),
        }
        return SplitRuns(np.stack([low, high - low, pool - high, num_test], axis=1), raised)
