"""Ending a run whose loss or weights become NaN or infinite, with an error that names the batch, or the steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from runner.batch import Array
from runner.errors import TrainingError
from runner.feeds.delivery import RecordedDelivery
from runner.finite import all_finite, not_finite_text
from runner.messages import first_few, plural

MOST_IDS = 10
"""The most ids that the error lists."""


def refuse_no_numbers(model: keras.Model, when: str) -> None:
    """Raise `TrainingError`, which says `when` it was noticed, if a weight of `model` is NaN or infinite.

    A finite loss is no proof: `relu` turns NaN into 0 on TensorFlow, and the state of a normalisation layer is not used
    in training.
    """
    wrong = {variable.path: array for variable in model.weights if not all_finite(array := _floats(variable))}
    if wrong:
        name, array = next(iter(wrong.items()))
        raise TrainingError(
            f"{len(wrong)} of {plural(len(model.weights), 'weight')} of the model {'is' if len(wrong) == 1 else 'are'} "
            f"no numbers any more {when}: first {name}, {not_finite_text(array)}; lower train.learning_rate or set "
            "train.optimizer.clipnorm, and start again; mode=check finds samples that are no numbers"
        )


def _floats(variable: keras.Variable) -> Array:
    array: Array = np.asarray(keras.ops.convert_to_numpy(variable))
    is_float = keras.backend.is_float_dtype(variable.dtype)
    return array.astype(np.float32, copy=False) if is_float else array  # NumPy has no kind for bfloat16


class FiniteLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends `fit` with `TrainingError` at the first step after which the epoch's mean loss is NaN or infinite.

    Ends it as well at the end of an epoch, before checkpoints are written, if a weight is NaN or infinite. Looking at
    the loss costs no time. Keras reads the loss from the device after every step anyway: on TensorFlow in the training
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

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the weights."""
        refuse_no_numbers(self.model, f"after epoch {epoch + 1}")

    @contextmanager
    def naming_batch(self, delivery: RecordedDelivery) -> Iterator[None]:
        """Name the global step and its samples in an error of the block, a `fit` of the steps of `delivery`."""
        try:
            yield
        except TrainingError as error:
            if not self._found:
                raise
            # The first one: on JAX another thread may have checked a later step earlier.
            batch = min(self._found)
            raise TrainingError(_message(self._found[batch], delivery.step_of(batch), delivery)) from error


def _message(loss: float, step: int, delivery: RecordedDelivery) -> str:
    ids = delivery.ids(step)
    epoch, position = divmod(step, len(delivery.loader))
    return (
        f"the loss became {loss} at step {step} (step {position} of pass {epoch} over the data), on the samples "
        f"{first_few(ids, most=MOST_IDS)}; check these samples, lower train.learning_rate or set "
        "train.optimizer.clipnorm; train.terminate_on_nan=false continues anyway"
    )
