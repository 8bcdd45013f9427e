"""Which feed carries a loader into Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.feeds.dataset import LoaderDataset
from runner.feeds.delivery import Delivery
from runner.feeds.generator import endless
from runner.loaders.generator import GeneratorLoader


@dataclass(frozen=True)
class Feed:
    """What Keras is given: `data`, and how many `steps` to take of it where it cannot know."""

    data: Any
    steps: int | None = None


def feed(delivery: Delivery, *, first_step: int = 0, num_steps: int | None = None) -> Feed:
    """A feed of `num_steps` batches (one pass, unless told otherwise) from global step `first_step` on.

    A generator goes as a generator, every other loader as a data set.
    """
    if isinstance(delivery.loader, GeneratorLoader):
        return Feed(endless(delivery, first_step), num_steps or len(delivery.loader))
    return Feed(LoaderDataset(delivery, first_step=first_step, num_steps=num_steps))
