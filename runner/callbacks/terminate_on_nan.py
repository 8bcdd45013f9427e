"""Ending a run whose loss becomes NaN or infinite, with an error that names the batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from runner.errors import TrainingError
from runner.feeds.delivery import RecordedDelivery
from runner.messages import first_few

MOST_IDS = 10
"""The most ids that the error lists."""


class FiniteLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends `fit` with `TrainingError` at the first step after which the epoch's mean loss is NaN or infinite.

    This costs no time. Keras reads the loss from the device after every step anyway: on TensorFlow in the training
    thread, on JAX in threads of its own, in which `async_safe` lets this callback run as well.
    """

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[int, float] = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            self._found[batch] = loss
            raise TrainingError(f"the loss became {loss} at step {batch} of this epoch")

    @contextmanager
    def naming_batch(self, delivery: RecordedDelivery, first_step: int) -> Iterator[None]:
        """Name the global step and its samples in an error of the block, a `fit` from global step `first_step`."""
        try:
            yield
        except TrainingError as error:
            if not self._found:
                raise
            # The first one: on JAX another thread may have checked a later step earlier.
            batch = min(self._found)
            raise TrainingError(_message(self._found[batch], first_step + batch, delivery)) from error


def _message(loss: float, step: int, delivery: RecordedDelivery) -> str:
    ids = delivery.ids(step)
    epoch, position = divmod(step, len(delivery.loader))
    return (
        f"the loss became {loss} at step {step} (step {position} of pass {epoch} over the data), on the samples "
        f"{first_few(ids, most=MOST_IDS)}; check these samples, lower train.learning_rate or set "
        "train.optimizer.clipnorm; train.terminate_on_nan=false continues anyway"
    )
