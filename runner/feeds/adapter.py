"""A loader as a data adapter of Keras's own kind: pulled by the training thread, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from runner.feeds.delivery import Delivery, KerasBatch


class LoaderAdapter(DataAdapter):  # type: ignore[misc]
    """`num_steps` batches from global step `first_step` on.

    `fit`, `evaluate` and `predict` take a data adapter as it is. No public name leads to its base class. Every
    backend takes a plain iterable for its own kind of data set, so no batch is read only to learn its shape.
    """

    def __init__(self, delivery: Delivery, *, first_step: int, num_steps: int) -> None:
        self._delivery, self._first_step, self._num_steps = delivery, first_step, num_steps

    def __iter__(self) -> Iterator[KerasBatch]:
        return self._delivery.steps(self._first_step, self._num_steps)

    def get_numpy_iterator(self) -> Any:
        """The batches."""
        return self

    get_tf_dataset = get_jax_iterator = get_torch_dataloader = get_numpy_iterator

    @property
    def num_batches(self) -> int:
        """Steps in the epoch."""
        return self._num_steps

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
