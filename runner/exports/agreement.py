"""How well one output of an exported model agrees with that of the model: values, and the classes that they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.batch import Array

TOLERANCE, TOLERANCE_OF_16_BITS = 1e-4, 1e-2
"""The largest difference of values up to 1, or in relation to the largest value."""

ONE_OF_SEVERAL = ("categorical", "sparse", "mask")
"""Class modes in which the largest of the last values is the class."""

YES_OR_NO = ("binary", "multi_label")
"""Class modes in which each value above one half is a class."""


@dataclass
class Agreement:
    """The agreement so far, over batches; `mode` is the class mode of the output."""

    mode: str
    tolerance: float = TOLERANCE
    largest_difference: float = 0.0
    largest_value: float = 0.0
    other_classes: int = 0

    def update(self, expected: Array, found: Array) -> None:
        """Compare one batch. Values that are not numbers agree with each other alone."""
        expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
        if expected.shape != found.shape:
            self.largest_difference = float("inf")
            return
        are_equal = (expected == found) | (np.isnan(expected) & np.isnan(found))  # infinities, too
        difference = np.full(expected.shape, np.inf)
        np.subtract(expected, found, out=difference, where=np.isfinite(expected) & np.isfinite(found))
        difference[are_equal] = 0.0
        self.largest_difference = max(self.largest_difference, float(np.abs(difference).max(initial=0.0)))
        finite = expected[np.isfinite(expected)]
        self.largest_value = max(self.largest_value, float(np.abs(finite).max(initial=0.0)))
        self.other_classes += self._other_classes(expected, found)

    def _other_classes(self, expected: Array, found: Array) -> int:
        """Predictions of another class, where the two that are most likely are not closer than the tolerance."""
        if self.mode in YES_OR_NO:
            are_clear = np.abs(2 * expected - 1) >= self.tolerance
            return int(np.count_nonzero(((expected > 0.5) != (found > 0.5)) & are_clear))
        if self.mode not in ONE_OF_SEVERAL or expected.shape[-1] < 2:
            return 0
        top_two = np.partition(expected, -2)[..., -2:]
        are_clear = top_two[..., 1] - top_two[..., 0] >= self.tolerance
        return int(np.count_nonzero((expected.argmax(-1) != found.argmax(-1)) & are_clear))

    @property
    def most(self) -> float:
        """The largest difference that is allowed."""
        return self.tolerance * max(1.0, self.largest_value)

    @property
    def holds(self) -> bool:
        """Whether the outputs agree."""
        return self.largest_difference <= self.most and not self.other_classes

    def document(self) -> dict[str, Any]:
        """The agreement for run.json."""
        return {
            "largest_difference": self.largest_difference,
            "allowed": self.most,
            "has_classes": self.mode in (*ONE_OF_SEVERAL, *YES_OR_NO),
            "other_classes": self.other_classes,
            "agrees": self.holds,
        }
