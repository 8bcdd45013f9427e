"""The samples a model was most wrong about, of any number."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

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
