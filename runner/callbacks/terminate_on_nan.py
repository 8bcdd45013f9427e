"""The end of a run whose loss is no number any more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from runner.errors import TrainingError
from runner.feeds.delivery import RecordedDelivery

MOST_IDS = 10
"""Ids an error shows."""


class FiniteLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends `fit` with `TrainingError` at the first step after which the epoch's mean loss is NaN or infinite.

    Costs nothing: Keras reads the loss off the device after every step whether or not a callback looks at it, on
    TensorFlow in the training thread and on JAX in threads of its own, where `async_safe` lets this one look too.
    """

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[int, float] = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            self._found[batch] = loss
            raise TrainingError(f"the loss became {loss} at step {batch} of this epoch")

    @contextmanager
    def naming_batch(self, delivery: RecordedDelivery, first_step: int) -> Iterator[None]:
        """In the block, a `fit` from global step `first_step` on, the error names the global step and its samples."""
        try:
            yield
        except TrainingError as error:
            if not self._found:
                raise
            # The first: on JAX another thread may have looked at a later step before.
            batch = min(self._found)
            raise TrainingError(_message(self._found[batch], first_step + batch, delivery)) from error


def _message(loss: float, step: int, delivery: RecordedDelivery) -> str:
    ids = delivery.ids(step)
    shown = ", ".join(ids[:MOST_IDS]) + (f" and {len(ids) - MOST_IDS} more" if len(ids) > MOST_IDS else "")
    epoch, position = divmod(step, len(delivery.loader))
    return (
        f"the loss became {loss} at step {step} (step {position} of pass {epoch} over the data), on the samples "
        f"{shown}; look at them, lower train.learning_rate or set train.optimizer.clipnorm; "
        "train.terminate_on_nan=false trains on"
    )
