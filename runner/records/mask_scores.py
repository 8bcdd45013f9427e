"""How well masks are predicted: overlap and accuracy of each class, from counts of pixels.

Counts are int64: Keras's confusion matrix wraps around at 2³¹ pixels on JAX.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.batch import Array


@dataclass(frozen=True)
class MaskScores:
    """Pixels of each class, int64, shape `(classes,)`: of the truth, predicted, and both; ignored pixels are left out.

    A score is None where nothing can be compared.
    """

    truth: Array
    predicted: Array
    correct: Array

    @classmethod
    def empty(cls, num_classes: int) -> MaskScores:
        """Scores of no pixels."""
        return cls(*np.zeros((3, num_classes), np.int64))

    @classmethod
    def of(cls, truth: Array, predicted: Array, num_classes: int, ignored: int | None) -> MaskScores:
        """The scores of a mask of class codes; pixels whose true code is `ignored` do not count."""
        if ignored is not None:
            counts = truth != ignored
            truth, predicted = truth[counts], predicted[counts]
        masks = (truth, predicted, truth[truth == predicted])
        return cls(*(np.bincount(mask.ravel(), minlength=num_classes) for mask in masks))

    def __add__(self, other: MaskScores) -> MaskScores:
        return MaskScores(self.truth + other.truth, self.predicted + other.predicted, self.correct + other.correct)

    @property
    def iou(self) -> list[float | None]:
        """Intersection over union of each class."""
        return _ratios(self.correct, self.truth + self.predicted - self.correct)

    @property
    def dice(self) -> list[float | None]:
        """Twice the intersection over the sum of both, of each class."""
        return _ratios(2 * self.correct, self.truth + self.predicted)

    @property
    def accuracy(self) -> list[float | None]:
        """The share of each class's pixels that is predicted as this class."""
        return _ratios(self.correct, self.truth)

    @property
    def mean_iou(self) -> float | None:
        """The mean over classes that are in the truth or the prediction."""
        return _mean(self.iou)

    @property
    def mean_dice(self) -> float | None:
        """The mean over classes that are in the truth or the prediction."""
        return _mean(self.dice)

    @property
    def pixel_accuracy(self) -> float | None:
        """The share of all pixels that is predicted right."""
        return _ratios(self.correct.sum(keepdims=True), self.truth.sum(keepdims=True))[0]

    def document(self, class_names: Sequence[str], prefix: str = "") -> dict[str, Any]:
        """The scores for run.json; `prefix` stands before their names."""
        by_class = zip(self.iou, self.dice, self.accuracy, strict=True)
        means = {"mean_iou": self.mean_iou, "pixel_accuracy": self.pixel_accuracy, "dice": self.mean_dice}
        of_classes = [dict(zip(("iou", "dice", "accuracy"), scores, strict=True)) for scores in by_class]
        return {
            **{f"{prefix}{name}": value for name, value in means.items()},
            f"{prefix}classes": dict(zip(class_names, of_classes, strict=True)),
        }


def _ratios(parts: Array, wholes: Array) -> list[float | None]:
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    return [part / whole if whole else None for part, whole in pairs]


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
