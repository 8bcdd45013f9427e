"""Which classes a model confuses: a matrix, a map of many classes, the most frequent confusions, and mean scores."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.reports.scores import ClassScore, ClassScorer

MAX_MATRIX_CLASSES = 30
"""Classes up to which a confusion matrix is readable; more have a map."""

MAX_MAP_CLASSES = 1000
MAX_CONFUSED_PAIRS = 15

RIGHT, WRONG = (58, 125, 207), (214, 110, 30)
"""The colours of the diagonal and of the rest, which suit light and dark paper."""


@dataclass(frozen=True)
class MatrixCell:
    """A cell of a confusion matrix: its samples, and their share of the true class."""

    count: int
    share: float


@dataclass(frozen=True)
class ConfusionMap:
    """A picture with a pixel for each pair of classes; `cells`: row, column and samples of those that are not empty."""

    source: str
    names: Sequence[str]
    cells: Sequence[tuple[int, int, int]]

    @property
    def data(self) -> dict[str, Any]:
        """What the script of the page reads."""
        return {"names": list(self.names), "cells": list(self.cells)}


@dataclass(frozen=True)
class MeanScore:
    """The mean of precision, recall and F1 over classes with samples."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def matrix(scorer: ClassScorer) -> list[tuple[str, list[MatrixCell]]]:
    """A row for each true class, with a cell for each predicted class; none of many classes."""
    names = scorer.head.class_names
    if len(names) > MAX_MATRIX_CLASSES:
        return []
    rows = ((name, [scorer.pairs[name, other] for other in names]) for name in names)
    return [(name, [MatrixCell(count, count / max(1, sum(counts))) for count in counts]) for name, counts in rows]


def confusion_map(scorer: ClassScorer) -> ConfusionMap | None:
    """The map of many classes; None where a matrix is readable, or a map would be too large."""
    names = scorer.head.class_names
    if not MAX_MATRIX_CLASSES < len(names) <= MAX_MAP_CLASSES:
        return None
    codes = {name: code for code, name in enumerate(names)}
    pairs = scorer.pairs.items()
    cells = [(codes[true], codes[guess], n) for (true, guess), n in pairs if true in codes and guess in codes]
    return ConfusionMap(_picture(len(names), cells), names, sorted(cells))


def _picture(size: int, cells: Sequence[tuple[int, int, int]]) -> str:
    """A data URL of the map: rows are true classes; the opacity grows with the share of the row."""
    from PIL.Image import fromarray

    counts = np.zeros((size, size))
    for row, column, count in cells:
        counts[row, column] = count
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    pixels = np.zeros((size, size, 4), np.uint8)
    pixels[..., :3] = WRONG
    pixels[np.arange(size), np.arange(size), :3] = RIGHT
    pixels[..., 3] = np.where(shares > 0, 60 + 195 * shares**0.7, 0)
    file = io.BytesIO()
    fromarray(pixels).save(file, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def confused_pairs(scorer: ClassScorer) -> Iterator[tuple[str, str, int, float | None]]:
    """True and predicted class of the most frequent confusions, their samples, and the share of the true class."""
    support = {score.name: score.support for score in scorer.scores()}
    wrong = [(count, pair) for pair, count in scorer.pairs.items() if pair[0] and pair[0] != pair[1]]
    for count, (truth, predicted) in sorted(wrong, key=lambda entry: (-entry[0], entry[1]))[:MAX_CONFUSED_PAIRS]:
        yield truth, predicted, count, count / support[truth] if support.get(truth) else None


def mean_scores(scores: Sequence[ClassScore]) -> list[MeanScore]:
    """The mean over classes, all alike, and weighted by their samples; a score without a value counts as 0."""
    known = [score for score in scores if score.support]
    total = sum(score.support for score in known)
    if len(known) < 2:
        return []
    weights = {"macro mean": [1 / len(known)] * len(known), "weighted mean": [each.support / total for each in known]}
    return [
        MeanScore(
            name, _mean(known, "precision", shares), _mean(known, "recall", shares), _mean(known, "f1", shares), total
        )
        for name, shares in weights.items()
    ]


def _mean(scores: Sequence[ClassScore], key: str, weights: Sequence[float]) -> float:
    return sum(weight * (getattr(score, key) or 0.0) for score, weight in zip(scores, weights, strict=True))
