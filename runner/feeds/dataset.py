"""A loader as a `keras.utils.PyDataset`."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import keras

from runner.feeds.delivery import Delivery, KerasBatch
from runner.loaders.assemble import assemble
from runner.loaders.loader import Loader

PEEKED = 2
"""Batches Keras asks for and throws away on TensorFlow, to learn shapes and dtypes, before it asks again."""


class LoaderDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of a loader by index: `model.fit(LoaderDataset(loader), epochs=3, shuffle=False)`.

    Workers and reading ahead are the loader's own, so Keras is given none. An epoch has `num_steps` steps, one pass
    over the data unless told otherwise, and goes on where the last one ended. The next epoch begins when
    `on_epoch_end` follows the delivery of the last index: Keras calls it once too often, before the first epoch, and
    in epochs so short that Keras peeks at their end, only what follows `on_epoch_begin` counts.
    """

    def __init__(self, loader: Loader | Delivery, *, first_step: int = 0, num_steps: int | None = None) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._delivery = loader if isinstance(loader, Delivery) else Delivery(loader)
        self._first_step, self._num_steps = first_step, num_steps or len(self._delivery.loader)
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._next, self._finished, self._begun = 0, False, self._num_steps > PEEKED
        self._peeked: dict[int, KerasBatch] = {}
        self._batches: Iterator[KerasBatch] = self._delivery.steps(self._first_step, self._num_steps)

    def __len__(self) -> int:
        return self._num_steps

    def __getitem__(self, index: int) -> KerasBatch:
        """Batch `index` of the present epoch."""
        index = range(self._num_steps)[index]
        with self._lock:
            batch = self._peeked.pop(index, None) or self._load(index)
            self._finished = self._finished or index == self._num_steps - 1
            return batch

    def _load(self, index: int) -> KerasBatch:
        if index != self._next:
            return self._out_of_turn(index)
        batch = next(self._batches)
        self._next += 1
        if index < PEEKED:
            self._peeked[index] = batch
        return batch

    def _out_of_turn(self, index: int) -> KerasBatch:
        step, loader = self._first_step + index, self._delivery.loader
        return self._delivery.hand_over(step, assemble(loader.source, loader.plan.batch(*divmod(step, len(loader)))))

    def on_epoch_begin(self) -> None:
        """From here on, what Keras asks for is for training."""
        self._begun = True

    def on_epoch_end(self) -> None:
        """Go on to the next epoch, if this one was delivered to its end."""
        with self._lock:
            if self._begun and self._finished:
                self._first_step += self._num_steps
                self._begin()
