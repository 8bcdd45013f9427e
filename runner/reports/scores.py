"""Scores of the predictions of a run, read from predictions.csv row by row.

`score_predictions` gives each head a scorer. A scorer collects what the usual scores need, and keeps the samples that
the model got most wrong.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.batch import Array
from runner.data.labels import Head
from runner.errors import RunnerError
from runner.records.cells import from_cell
from runner.records.predictions import PREDICTIONS_CSV, prediction_columns
from runner.reports.mask_scorer import MaskScorer
from runner.reports.scored_samples import ScoredSample, WorstSamples

MIN_PROBABILITY = 1e-7
"""The smallest probability whose logarithm is taken, as in Keras."""


def score_predictions(folder: Path, heads: Sequence[Head]) -> list[AnyScorer]:
    """Read the predictions of the run in `folder` into a scorer per head; none if the run predicted nothing.

    Raises `RunnerError` if the table cannot be read or does not fit the heads.
    """
    path = folder / PREDICTIONS_CSV
    if not path.exists() or not heads:
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = (list(map(from_cell, row)) for row in csv.reader(file, strict=True))
            header = next(rows, [])
            labelled = header == prediction_columns(heads, labelled=True)
            if not labelled and header != prediction_columns(heads, labelled=False):
                raise RunnerError(f"the columns of {path} do not match the heads of the run")
            columns = zip(heads, _columns_of(heads, labelled), strict=True)
            scorers = [(scorer_of(head, labelled), cells) for head, cells in columns]
            for number, row in enumerate(rows):
                for scorer, cells in scorers:
                    scorer.add(number, row[0], row[cells])
    except (OSError, ValueError, LookupError, csv.Error) as error:
        raise RunnerError(f"cannot read {path}: {error}") from error
    return [scorer for scorer, _ in scorers]


def predictions_bytes(folder: Path) -> int:
    """The size of the predictions of a run; 0 if there are none."""
    path = folder / PREDICTIONS_CSV
    return path.stat().st_size if path.exists() else 0


def _columns_of(heads: Sequence[Head], labelled: bool) -> list[slice]:
    """The columns of each head in a row; the first column is the id of the sample."""
    slices, start = [], 1
    for head in heads:
        end = start + len(prediction_columns([head], labelled=labelled)) - 1
        slices.append(slice(start, end))
        start = end
    return slices


@dataclass(frozen=True)
class ClassScore:
    """One class: its true positives, the samples of the class, and how often it was predicted."""

    name: str
    true_positives: int
    support: int
    predicted: int

    @property
    def precision(self) -> float | None:
        """Share of the predictions of this class that are right; None if it was never predicted."""
        return self.true_positives / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Share of the samples of this class that were found; None if there are none."""
        return self.true_positives / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None if the class has no samples and was never predicted."""
        both = self.predicted + self.support
        return 2 * self.true_positives / both if both else None


@dataclass(frozen=True)
class NumberScore:
    """One predicted number: mean absolute error, root mean squared error, share of the variance explained."""

    name: str
    mae: float
    rmse: float
    r2: float | None


def class_scores(names: Sequence[str], pairs: Mapping[tuple[str, str], int]) -> list[ClassScore]:
    """A score per class; `pairs` counts the samples by true class (first) and predicted class (second)."""
    support, predictions = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for (truth, predicted), count in pairs.items():
        if truth in support:
            support[truth] += count
            predictions[predicted] += count
    return [ClassScore(name, pairs.get((name, name), 0), support[name], predictions[name]) for name in names]


def number_score(name: str, truth: Sequence[float], predicted: Sequence[float]) -> NumberScore:
    """The score of one number; `r2` is None if the true values are constant, or too close to each other."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _number_score(name, np.asarray(truth, float), np.asarray(predicted, float))


def _number_score(name: str, truth: Array, predicted: Array) -> NumberScore:
    squared, spread = np.square(truth - predicted), np.square(truth - truth.mean()).sum()
    r2 = float(1 - squared.sum() / spread) if spread > 0 else math.nan
    errors = float(np.abs(truth - predicted).mean()), float(np.sqrt(squared.mean()))
    return NumberScore(name, *errors, r2 if math.isfinite(r2) else None)


class ClassScorer:
    """Scores a head with one class per sample: counts true and predicted classes as pairs."""

    def __init__(self, head: Head, labelled: bool) -> None:
        self.head, self.labelled, self.worst, self.num_samples = head, labelled, WorstSamples(), 0
        self.pairs: Counter[tuple[str, str]] = Counter()
        self._codes = {name: code for code, name in enumerate(head.class_names)}

    def add(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """Add a row; of a sample without a known class only the prediction counts."""
        self.num_samples += 1
        truth, predicted, *probabilities = cells if self.labelled else ("", *cells)
        self.pairs[truth, predicted] += 1
        code = self._codes.get(truth)
        if code is not None:
            of_truth, of_predicted = float(probabilities[code]), float(probabilities[self._codes[predicted]])
            if truth != predicted:
                detail = f"{of_truth:.1%} for {truth}, {of_predicted:.1%} for {predicted}"
                self.worst.add(ScoredSample(1 - of_truth, row, sample_id, truth, predicted, detail))

    def scores(self) -> list[ClassScore]:
        """One score per class."""
        return class_scores(self.head.class_names, self.pairs)


class LabelSetScorer:
    """Scores a head with any number of classes per sample: counts each class by itself."""

    def __init__(self, head: Head, labelled: bool) -> None:
        self.head, self.labelled, self.worst, self.num_samples = head, labelled, WorstSamples(), 0
        self.true_positives: Counter[str] = Counter()
        self.support: Counter[str] = Counter()
        self.predicted: Counter[str] = Counter()

    def add(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """Add a row."""
        self.num_samples += 1
        names = self.head.class_names
        true_cell, predicted_cell, *numbers = cells if self.labelled else ("", *cells)
        predicted = {name for name, member in zip(names, numbers, strict=False) if member == "1"}
        self.predicted.update(predicted)
        if not self.labelled:
            return
        truth = _members(true_cell, names)
        self.support.update(truth)
        self.true_positives.update(truth & predicted)
        if truth != predicted:
            loss = _cross_entropy(names, truth, list(map(float, numbers[len(names) :])))
            detail = f"cross-entropy {loss:.3f}"
            self.worst.add(ScoredSample(loss, row, sample_id, true_cell or "none", predicted_cell or "none", detail))

    def scores(self) -> list[ClassScore]:
        """One score per class."""
        return [
            ClassScore(name, self.true_positives[name], self.support[name], self.predicted[name])
            for name in self.head.class_names
        ]


def _members(text: str, names: Sequence[str]) -> set[str]:
    """The classes of a cell such as `cat|dog`; matches the longest names first, as a name may contain the bar."""
    members: set[str] = set()
    rest = f"|{text}|"
    for name in sorted(names, key=len, reverse=True):
        if f"|{name}|" in rest:
            members.add(name)
            rest = rest.replace(f"|{name}|", "||", 1)
    return members


def _cross_entropy(names: Sequence[str], truth: set[str], probabilities: Sequence[float]) -> float:
    """The mean binary cross-entropy over all classes."""
    likelihoods = (p if name in truth else 1 - p for name, p in zip(names, probabilities, strict=True))
    return sum(-math.log(max(MIN_PROBABILITY, likelihood)) for likelihood in likelihoods) / len(names)


class NumberScorer:
    """Scores a head that predicts numbers; of a reconstruction, predictions.csv holds only the error."""

    def __init__(self, head: Head, labelled: bool) -> None:
        self.head, self.labelled, self.worst, self.num_samples = head, labelled, WorstSamples(), 0
        self.reconstruction = head.mode == "input"
        self.names = ("mean_squared_error",) if self.reconstruction else head.value_names or ("value",)
        self.ids: list[str] = []
        self.truth: list[list[float]] = []
        self.predicted: list[list[float]] = []

    def add(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """Add a row."""
        self.num_samples += 1
        numbers, width = list(map(float, cells)), len(self.names)
        self.predicted.append(numbers[-width:])
        if self.reconstruction:
            detail = f"mean squared error {numbers[0]:.4g}"
            self.worst.add(ScoredSample(numbers[0], row, sample_id, "", "", detail))
        elif self.labelled:
            truth, predicted = numbers[:width], numbers[width:]
            self.ids.append(sample_id)
            self.truth.append(truth)
            error = math.sqrt(sum((a - b) ** 2 for a, b in zip(truth, predicted, strict=True)) / width)
            texts = _numbers_text(truth), _numbers_text(predicted)
            self.worst.add(ScoredSample(error, row, sample_id, *texts, f"off by {error:.4g}"))

    def scores(self) -> list[NumberScore]:
        """One score per number; none without labels."""
        columns = zip(self.names, zip(*self.truth, strict=True), zip(*self.predicted, strict=True), strict=False)
        return [number_score(name, truth, predicted) for name, truth, predicted in columns]


class ArrayScorer:
    """Scores a head that predicts arrays: predictions.csv holds the error of each."""

    def __init__(self, head: Head, labelled: bool) -> None:
        self.head, self.labelled, self.worst, self.num_samples = head, labelled, WorstSamples(), 0
        self.total = 0.0

    def add(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """Add a row."""
        self.num_samples += 1
        if self.labelled:
            error = float(cells[0])
            self.total += error
            self.worst.add(ScoredSample(error, row, sample_id, "", "", f"mean squared error {error:.4g}"))


def _numbers_text(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


AnyScorer = ClassScorer | LabelSetScorer | NumberScorer | ArrayScorer | MaskScorer


def scorer_of(head: Head, labelled: bool) -> AnyScorer:
    """A new scorer for the kind of a head."""
    if head.mode == "multi_label":
        return LabelSetScorer(head, labelled)
    if head.mode == "mask":
        return MaskScorer(head, labelled)
    if head.shape:
        return ArrayScorer(head, labelled)
    return NumberScorer(head, labelled) if head.mode in ("raw", "input") else ClassScorer(head, labelled)
