"""Which kind of feed carries which kind of loader into Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.feeds.adapter import LoaderAdapter
from runner.feeds.dataset import LoaderDataset
from runner.feeds.delivery import Delivery
from runner.feeds.generator import endless
from runner.loaders.directory_flow import DirectoryFlowLoader
from runner.loaders.generator import GeneratorLoader
from runner.loaders.sequence import SequenceLoader


@dataclass(frozen=True)
class Feed:
    """What Keras is given: `data`, and how many `steps` to take of it where it cannot know."""

    data: Any
    steps: int | None = None


def feed(delivery: Delivery, *, first_step: int = 0, num_steps: int | None = None) -> Feed:
    """A feed of `num_steps` batches (one pass, unless told otherwise) from global step `first_step` on."""
    num_steps = num_steps or len(delivery.loader)
    match delivery.loader:
        case GeneratorLoader():
            return Feed(endless(delivery, first_step), num_steps)
        case DirectoryFlowLoader():
            return Feed(LoaderAdapter(delivery, first_step=first_step, num_steps=num_steps))
        case SequenceLoader():
            return Feed(LoaderDataset(delivery, first_step=first_step, num_steps=num_steps))
        case _:
            return Feed(LoaderAdapter(delivery, first_step=first_step, num_steps=num_steps))
