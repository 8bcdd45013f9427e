"""What predictions come to, head by head: each kind of head is judged by what it predicts.

How good predictions are, in the usual figures.

The samples a model was most wrong about, of any number.

predictions.csv read again, a row at a time.
"""

from __future__ import annotations

import csv
import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from runner.batch import Array
from runner.data.labels import Head
from runner.errors import RunnerError
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.predictions import prediction_columns


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


MOST = 12
"""How many are kept."""


@dataclass(frozen=True, order=True)
class Sample:
    """A row of predictions.csv: how wrong it is, its number, its id, and what is told of it."""

    wrongness: float
    row: int
    id: str
    truth: str = field(compare=False)
    predicted: str = field(compare=False)
    told: str = field(compare=False)


class Worst:
    """Keeps the `MOST` samples of highest wrongness, in little memory."""

    def __init__(self) -> None:
        self._heap: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Take a sample in, if it belongs here."""
        if len(self._heap) < MOST:
            heapq.heappush(self._heap, sample)
        else:
            heapq.heappushpop(self._heap, sample)

    def samples(self) -> list[Sample]:
        """The worst first."""
        return sorted(self._heap, reverse=True)


LEAST = 1e-7
"""The probability a logarithm is taken of at least, as in Keras."""


class Judge(Protocol):
    """Takes in the cells of one head, row by row."""

    worst: Worst
    num_samples: int

    def take(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """One row: its number, its id, and its cells of this head.

        Raises ValueError where a cell is not what the head says.
        """


class ClassJudge:
    """One class a sample: which class was taken for which."""

    def __init__(self, head: Head, labelled: bool) -> None:
        self.head, self.labelled, self.worst, self.num_samples = head, labelled, Worst(), 0
        self.pairs: Counter[tuple[str, str]] = Counter()
        self._codes = {name: code for code, name in enumerate(head.class_names)}

    def take(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """As `Judge` has it; a sample whose class is not known counts for its prediction alone."""
        self.num_samples += 1
        truth, predicted, *probabilities = cells if self.labelled else ("", *cells)
        self.pairs[truth, predicted] += 1
        code = self._codes.get(truth)
        if code is not None:
            given = float(probabilities[code])
            told = f"{given:.1%} for {truth}, {float(probabilities[self._codes[predicted]]):.1%} for {predicted}"
            if truth != predicted:
                self.worst.add(Sample(1 - given, row, sample_id, truth, predicted, told))

    def scores(self) -> list[ClassScore]:
        """One per class."""
        return class_scores(self.head.class_names, self.pairs)


class LabelSetJudge:
    """Any number of classes a sample: for each, whether it was found."""

    def __init__(self, head: Head, labelled: bool) -> None:
        self.head, self.labelled, self.worst, self.num_samples = head, labelled, Worst(), 0
        self.found: Counter[str] = Counter()
        self.there: Counter[str] = Counter()
        self.claimed: Counter[str] = Counter()

    def take(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """As `Judge` has it."""
        self.num_samples += 1
        names = self.head.class_names
        truth, predicted, *numbers = cells if self.labelled else ("", *cells)
        claims = {name for name, member in zip(names, numbers, strict=False) if member == "1"}
        self.claimed.update(claims)
        if not self.labelled:
            return
        has = _members(truth, names)
        self.there.update(has)
        self.found.update(has & claims)
        if has != claims:
            probabilities = map(float, numbers[len(names) :])
            loss = sum(
                -math.log(max(LEAST, p if name in has else 1 - p)) for name, p in zip(names, probabilities, strict=True)
            ) / len(names)
            told = f"cross-entropy {loss:.3f}"
            self.worst.add(Sample(loss, row, sample_id, truth or "none", predicted or "none", told))

    def scores(self) -> list[ClassScore]:
        """One per class."""
        return [
            ClassScore(name, self.found[name], self.there[name], self.claimed[name]) for name in self.head.class_names
        ]


class NumberJudge:
    """Numbers: how far from the truth they are. For a reconstruction, its error is all there is."""

    def __init__(self, head: Head, labelled: bool) -> None:
        self.head, self.labelled, self.worst, self.num_samples = head, labelled, Worst(), 0
        self.reconstruction = head.mode == "input"
        self.names = ("mean_squared_error",) if self.reconstruction else head.value_names or ("value",)
        self.truth: list[list[float]] = []
        self.predicted: list[list[float]] = []

    def take(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """As `Judge` has it."""
        self.num_samples += 1
        numbers, width = list(map(float, cells)), len(self.names)
        self.predicted.append(numbers[-width:])
        if self.reconstruction:
            told = f"mean squared error {numbers[0]:.4g}"
            self.worst.add(Sample(numbers[0], row, sample_id, "", "", told))
        elif self.labelled:
            truth, predicted = numbers[:width], numbers[width:]
            self.truth.append(truth)
            error = math.sqrt(sum((a - b) ** 2 for a, b in zip(truth, predicted, strict=True)) / width)
            self.worst.add(Sample(error, row, sample_id, _shown(truth), _shown(predicted), f"off by {error:.4g}"))

    def scores(self) -> list[NumberScore]:
        """One per value; none without labels."""
        columns = zip(self.names, zip(*self.truth, strict=True), zip(*self.predicted, strict=True), strict=False)
        return [number_score(name, truth, predicted) for name, truth, predicted in columns]


AnyJudge = ClassJudge | LabelSetJudge | NumberJudge


def judge_of(head: Head, labelled: bool) -> AnyJudge:
    """The judge of a head."""
    if head.mode == "multi_label":
        return LabelSetJudge(head, labelled)
    return NumberJudge(head, labelled) if head.mode in ("raw", "input") else ClassJudge(head, labelled)


def _members(text: str, names: Sequence[str]) -> set[str]:
    """The classes of a cell such as `cat|dog`; a name may have the bar in it, so names go from the longest."""
    has: set[str] = set()
    rest = f"|{text}|"
    for name in sorted(names, key=len, reverse=True):
        if f"|{name}|" in rest:
            has.add(name)
            rest = rest.replace(f"|{name}|", "||", 1)
    return has


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def predictions_bytes(folder: Path) -> int:
    """The size of the table; 0 where there is none."""
    path = folder / PREDICTIONS_CSV
    return path.stat().st_size if path.exists() else 0


def judge_predictions(folder: Path, heads: Sequence[Head]) -> list[AnyJudge]:
    """The predictions of a run, judged: one judge per head; none where the run predicted nothing.

    Raises `RunnerError` where the table cannot be read, or is not of these heads.
    """
    path = folder / PREDICTIONS_CSV
    if not path.exists() or not heads:
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            labelled = header == prediction_columns(heads, labelled=True)
            if not labelled and header != prediction_columns(heads, labelled=False):
                raise RunnerError(f"{path} has other columns than its run's heads")
            places = zip(heads, _cells(heads, labelled), strict=True)
            judges = [(judge_of(head, labelled), cells) for head, cells in places]
            for number, row in enumerate(rows):
                for judge, cells in judges:
                    judge.take(number, row[0], row[cells])
    except (OSError, ValueError, LookupError, csv.Error) as error:
        raise RunnerError(f"cannot read {path}: {error}") from error
    return [judge for judge, _ in judges]


def _cells(heads: Sequence[Head], labelled: bool) -> list[slice]:
    """Where the columns of each head stand."""
    slices, start = [], 1
    for head in heads:
        end = start + len(prediction_columns([head], labelled=labelled)) - 1
        slices.append(slice(start, end))
        start = end
    return slices
