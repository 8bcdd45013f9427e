"""Loaders as data sets for Keras: for one call of `fit`, `evaluate` or `predict`, or for any number of epochs."""

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

    It is a `PyDataset`, so it has a length and gives any batch by index. It is a data adapter as well, which Keras uses
    directly: on every backend the training thread takes the batches in the plan's order, no batch is read only for its
    shape, and Keras starts no workers of its own. (That base class has no public name. Keras passes `class_weight` only
    to adapters it makes itself, so it has no effect here.)

    An epoch has `num_steps` steps, by default one pass over the data, and starts where the last one ended. The next
    epoch starts when `on_epoch_end` follows the last batch: Keras calls it once too often, before the first epoch.

    If `model` is given, TensorFlow does not trace its training step a second time; JAX, on several devices, does not
    compile it a second time.
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
        """Batch `index` of the current epoch; batches in order are read ahead."""
        if (batch := self._at(range(self._num_steps)[index])) is None:
            raise IndexError(f"the epoch ended before batch {index}, because samples that cannot be read were skipped")
        return batch

    def __iter__(self) -> Iterator[KerasBatch]:
        """The batches of the current epoch, without those whose samples are all skipped."""
        for index in range(self._num_steps):
            if (batch := self._at(index)) is None:
                return
            yield batch

    def _at(self, index: int) -> KerasBatch | None:
        with self._lock:
            if index == 0:
                self._rewind()
            batch = self._in_order() if index == self._next else self._out_of_order(index)
            self._finished = self._finished or index == self._num_steps - 1
            return batch

    def _in_order(self) -> KerasBatch | None:
        batch = next(self._batches, None)
        self._next += 1
        return batch

    def _out_of_order(self, index: int) -> KerasBatch:
        step, loader = self._first_step + index, self._delivery.loader
        with loader.clock.waiting():
            batch = loader.batch(*divmod(step, len(loader)))
        return self._delivery.hand_over(step, batch)

    def on_epoch_end(self) -> None:
        """Start the next epoch, if all batches of this one were taken."""
        with self._lock:
            if self._finished:
                self._first_step += self._num_steps
                self._rewind()

    def get_numpy_iterator(self) -> Any:
        """The batches of the current epoch; every backend accepts a plain iterable."""
        return self

    def get_jax_iterator(self) -> Any:
        """The batches of the current epoch; on several devices, if the model is."""
        place = self._delivery.place
        if place is None:
            return self
        unbuilt, self._model = self._model, None  # Keras takes the first batch before it trains, to build the model
        return place.batches(self, self._num_rows(), build=unbuilt is not None)

    def _num_rows(self) -> Iterator[int | None]:
        """The rows of each whole batch, once it is taken."""
        while True:
            yield self._delivery.num_rows

    def get_tf_dataset(self) -> Any:
        """The batches of the current epoch; the first one builds `model`."""
        return TensorFlowBatches(self, self._model)

    def get_torch_dataloader(self) -> Any:
        """The batches of the current epoch, as tensors."""
        return tensors(iter(self), self._delivery.loader.clock)

    @property
    def batch_size(self) -> int:
        """Samples in a full batch."""
        return self._delivery.loader.plan.batch_size

    @property
    def has_partial_batch(self) -> bool:
        """Whether the last batch is smaller than the others."""
        plan = self._delivery.loader.plan
        return not plan.drop_remainder and plan.num_draws % plan.batch_size != 0

    @property
    def partial_batch_size(self) -> int | None:
        """The size of the last batch if it is smaller; else None."""
        plan = self._delivery.loader.plan
        return plan.num_draws % plan.batch_size if self.has_partial_batch else None


@dataclass(frozen=True)
class Feed:
    """Arguments for Keras: `data`, and the number of `steps` if Keras cannot know it."""

    data: Any
    steps: int | None = None


class OneEpoch(LoaderDataset):
    """The data set of one call of `fit` with one epoch, from a fixed first step.

    On JAX and PyTorch, Keras takes one batch to build a model and calls `on_epoch_end` before it starts again. If
    that is the epoch's only batch, this call looks like the end of the epoch, so `on_epoch_end` must do nothing.
    """

    def on_epoch_end(self) -> None:
        """Stay in this epoch."""


def feed(
    delivery: Delivery, *, first_step: int = 0, num_steps: int | None = None, model: keras.Model | None = None
) -> Feed:
    """A feed of `num_steps` batches (by default one pass) from global step `first_step` on, for `model`.

    With every loader and backend the training thread takes each batch itself, so that its wait can be measured.
    """
    return Feed(OneEpoch(delivery, first_step=first_step, num_steps=num_steps, model=model))
