"""Samples with the errors of their predictions, the worst of them, and the protocol of what scores predictions."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

NUM_WORST = 12
"""How many of the most wrong samples a head keeps."""


@dataclass(frozen=True, order=True)
class ScoredSample:
    """A row of predictions.csv with its error; samples sort by error. `detail`: the error as text."""

    error: float
    row: int
    id: str
    truth: str = field(compare=False)
    predicted: str = field(compare=False)
    detail: str = field(compare=False)


class WorstSamples:
    """The samples with the largest errors, `most` of any number of samples."""

    def __init__(self, most: int = NUM_WORST) -> None:
        self._most = most
        self._heap: list[ScoredSample] = []

    def add(self, sample: ScoredSample) -> None:
        """Keep the sample if it is among the worst."""
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, sample)
        else:
            heapq.heappushpop(self._heap, sample)

    def samples(self) -> list[ScoredSample]:
        """The kept samples, worst first."""
        return sorted(self._heap, reverse=True)


class Scorer(Protocol):
    """Collects the cells of one head, row by row."""

    worst: WorstSamples
    num_samples: int

    def add(self, row: int, sample_id: str, cells: Sequence[str]) -> None:
        """Add a row by its number, the id of its sample, and its cells of this head.

        Raises ValueError or LookupError if the cells do not fit the head.
        """
