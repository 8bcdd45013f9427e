"""What carries a loader into Keras for one call of `fit`, `evaluate` or `predict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from runner.feeds.dataset import LoaderDataset
from runner.feeds.delivery import Delivery


@dataclass(frozen=True)
class Feed:
    """What Keras is given: `data`, and how many `steps` to take of it where it cannot know."""

    data: Any
    steps: int | None = None


class OneEpoch(LoaderDataset):
    """The data set of one call of `fit`, which has one epoch, from the step it was made with.

    On JAX and PyTorch Keras takes one batch to build a model and calls `on_epoch_end` before it begins anew. Where that
    is the epoch's only batch, no hook tells the two apart.
    """

    def on_epoch_end(self) -> None:
        """Stay."""


def feed(
    delivery: Delivery, *, first_step: int = 0, num_steps: int | None = None, model: keras.Model | None = None
) -> Feed:
    """A feed of `num_steps` batches (one pass, unless told otherwise) from global step `first_step` on, for `model`.

    The training thread asks for every batch itself, whatever the loader and the backend, so that its wait is known.
    """
    return Feed(OneEpoch(delivery, first_step=first_step, num_steps=num_steps, model=model))
