"""A loader as a data set of Keras's own kind.

What carries a loader into Keras for one call of `fit`, `evaluate` or `predict`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from runner.feeds.delivery import Delivery, KerasBatch
from runner.feeds.tensorflow_batches import TensorFlowBatches
from runner.feeds.torch_batches import tensors
from runner.loaders.loader import Loader


class LoaderDataset(keras.utils.PyDataset, DataAdapter):  # type: ignore[misc]
    """The batches of a loader, for `fit`, `evaluate` and `predict`: `model.fit(LoaderDataset(loader), epochs=3)`.

    A `PyDataset`, so it has a length and gives any batch by its index. A data adapter as well, which Keras takes as
    it is: the training thread itself pulls the batches, on every backend, in the plan's order; none is read only to
    learn its shape, and Keras starts no workers beside the loader's own. (No public name leads to that base class.
    Keras passes `class_weight` to adapters it makes itself, so it has no effect here.)

    An epoch has `num_steps` steps, one pass over the data unless told otherwise, and goes on where the last one
    ended. The next epoch begins when `on_epoch_end` follows the delivery of the last batch: Keras calls it once too
    often, before the first epoch.

    With the `model` that is to be trained, TensorFlow need not trace its step a second time for variables it made.
    """

    def __init__(
        self,
        loader: Loader | Delivery,
        *,
        first_step: int = 0,
        num_steps: int | None = None,
        model: keras.Model | None = None,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._model = model
        self._delivery = loader if isinstance(loader, Delivery) else Delivery(loader)
        self._first_step, self._num_steps = first_step, num_steps or len(self._delivery.loader)
        self._lock = threading.Lock()
        self._rewind()

    def _rewind(self) -> None:
        self._next, self._finished = 0, False
        self._batches: Iterator[KerasBatch] = self._delivery.steps(self._first_step, self._num_steps)

    def __len__(self) -> int:
        return self._num_steps

    def __getitem__(self, index: int) -> KerasBatch:
        """Batch `index` of the present epoch; asked for in their order, batches are read ahead."""
        if (batch := self._at(range(self._num_steps)[index])) is None:
            raise IndexError(f"the epoch ended before batch {index}: samples that cannot be read were left out")
        return batch

    def __iter__(self) -> Iterator[KerasBatch]:
        """The batches of the present epoch; fewer than its length where all samples of some are left out."""
        for index in range(self._num_steps):
            if (batch := self._at(index)) is None:
                return
            yield batch

    def _at(self, index: int) -> KerasBatch | None:
        with self._lock:
            if index == 0:
                self._rewind()
            batch = self._in_turn() if index == self._next else self._out_of_turn(index)
            self._finished = self._finished or index == self._num_steps - 1
            return batch

    def _in_turn(self) -> KerasBatch | None:
        batch = next(self._batches, None)
        self._next += 1
        return batch

    def _out_of_turn(self, index: int) -> KerasBatch:
        step, loader = self._first_step + index, self._delivery.loader
        with loader.clock.waiting():
            batch = loader.batch(*divmod(step, len(loader)))
        return self._delivery.hand_over(step, batch)

    def on_epoch_end(self) -> None:
        """Go on to the next epoch, if this one was delivered to its end."""
        with self._lock:
            if self._finished:
                self._first_step += self._num_steps
                self._rewind()

    def get_numpy_iterator(self) -> Any:
        """The batches of the present epoch; every backend takes a plain iterable for its own kind of data set."""
        return self

    get_jax_iterator = get_numpy_iterator

    def get_tf_dataset(self) -> Any:
        """The batches of the present epoch, of which the first builds `model`."""
        return TensorFlowBatches(self, self._model)

    def get_torch_dataloader(self) -> Any:
        """The batches of the present epoch, as tensors."""
        return tensors(iter(self), self._delivery.loader.clock)

    @property
    def batch_size(self) -> int:
        """Samples in a full batch."""
        return self._delivery.loader.plan.batch_size

    @property
    def has_partial_batch(self) -> bool:
        """Whether some batch is smaller than the others."""
        plan = self._delivery.loader.plan
        return not plan.drop_remainder and plan.num_samples % plan.batch_size != 0

    @property
    def partial_batch_size(self) -> int | None:
        """The size of the smaller batch; None if there is none."""
        plan = self._delivery.loader.plan
        return plan.num_samples % plan.batch_size if self.has_partial_batch else None


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
