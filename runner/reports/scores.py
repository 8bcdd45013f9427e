"""What predictions come to, head by head: each kind of head is judged by what it predicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from runner.data.labels import Head
from runner.reports.scores_reports import ClassScore, NumberScore, class_scores, number_score
from runner.reports.worst import Sample, Worst

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
