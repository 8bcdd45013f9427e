"""A loader as one plain, endless Python generator."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from runner.feeds.delivery import Delivery, KerasBatch


def endless(delivery: Delivery, first_step: int) -> Iterator[KerasBatch]:
    """The batches from global step `first_step` on, epoch after epoch; Keras is told where to stop.

    Keras takes more than it trains on (it reads ahead, and two batches to learn their shapes), so each call of
    `fit` gets a generator of its own, begun at its own step.
    """
    num_steps = len(delivery.loader)
    for step in count(first_step, num_steps):
        yield from delivery.steps(step, num_steps)
