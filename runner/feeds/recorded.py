"""Batches that are trained on: whose ids they held is remembered until their steps are done."""

from __future__ import annotations

from typing import Any

from runner.batch import Batch
from runner.feeds.delivery import Delivery, KerasBatch
from runner.records.digests import IdStream, array_digest

PIXELS_EVERY = 100
"""Of so many batches one is digested with its pixels, which costs half a millisecond per megabyte."""


class RecordedDelivery(Delivery):
    """Remembers the ids of each batch it hands over, for whoever is to `settle` the steps that were trained on."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._ids: dict[int, tuple[str, ...]] = {}
        self._pixels: dict[int, str] = {}

    def hand_over(self, step: int, batch: Batch) -> KerasBatch:
        """As every delivery."""
        self._ids[step] = batch.ids
        if step % PIXELS_EVERY == 0:
            self._pixels[step] = array_digest(batch.x)
        return super().hand_over(step, batch)

    def ids(self, step: int) -> tuple[str, ...]:
        """The ids in a batch that was handed over and is not settled."""
        return self._ids[step]

    def settle(self, ids: IdStream, pixels: IdStream, first_step: int, num_steps: int) -> int:
        """Add the ids of steps that were trained on to `ids`; returns the number of samples in these steps.

        The digests of those batches' `x` that were taken go to `pixels`.
        """
        steps = range(first_step, first_step + num_steps)
        trained = [self._ids.pop(step) for step in steps]
        pixels.update(self._pixels.pop(step) for step in steps if step in self._pixels)
        for names in trained:
            ids.update(names)
        return sum(len(names) for names in trained)

    def forget(self) -> None:
        """Forget what was only read ahead."""
        self._ids.clear()
        self._pixels.clear()
