"""How good predictions are, in the usual figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runner.batch import Array


@dataclass(frozen=True)
class ClassScore:
    """One class: how many of its samples were found, how many there are, how often it was claimed."""

    name: str
    found: int
    support: int
    claimed: int

    @property
    def precision(self) -> float | None:
        """Share of the claims that hold; None where there was none."""
        return self.found / self.claimed if self.claimed else None

    @property
    def recall(self) -> float | None:
        """Share of the samples that were found; None where there is none."""
        return self.found / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None where the class neither is there nor was claimed."""
        both = self.claimed + self.support
        return 2 * self.found / both if both else None


@dataclass(frozen=True)
class NumberScore:
    """One predicted number: mean absolute error, root of the mean squared one, share of the variance explained."""

    name: str
    mae: float
    rmse: float
    r2: float | None


def class_scores(names: Sequence[str], pairs: Mapping[tuple[str, str], int]) -> list[ClassScore]:
    """A score per class, from how often each class (first) was taken for each class (second)."""
    support, claimed = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for (truth, predicted), count in pairs.items():
        if truth in support:
            support[truth] += count
            claimed[predicted] += count
    return [ClassScore(name, pairs.get((name, name), 0), support[name], claimed[name]) for name in names]


def number_score(name: str, truth: Sequence[float], predicted: Sequence[float]) -> NumberScore:
    """The score of one value; `r2` is None where the truth is one number throughout, or too near that to tell."""
    true, told = np.asarray(truth, float), np.asarray(predicted, float)
    with np.errstate(invalid="ignore", over="ignore"):
        return _score(name, true, told)


def _score(name: str, true: Array, told: Array) -> NumberScore:
    squared, spread = np.square(true - told), np.square(true - true.mean()).sum()
    r2 = float(1 - squared.sum() / spread) if spread > 0 else math.nan
    errors = float(np.abs(true - told).mean()), float(np.sqrt(squared.mean()))
    return NumberScore(name, *errors, r2 if math.isfinite(r2) else None)
