"""Whether a model can learn a single batch by heart; and if it cannot, what may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from runner.batch import Array, Batch
from runner.models.base import Output

ENOUGH = 0.01
"""The share of the first loss that counts as near zero."""
PROBABILITIES = ("softmax", "sigmoid")
"""Activations whose values are probabilities."""
LARGE = 100.0
"""Values beyond which an input counts as unscaled."""


@dataclass(frozen=True)
class Attempt:
    """How one batch was trained on: steps done, the loss before the first and the mean loss of the last epoch."""

    steps: int
    first_loss: float
    last_loss: float

    @property
    def succeeded(self) -> bool:
        """Whether the loss came near zero."""
        return self.last_loss <= ENOUGH * self.first_loss


def verdict(attempt: Attempt, model: keras.Model, batch: Batch, outputs: tuple[Output, ...]) -> Iterator[str]:
    """A plain statement, then what the figures say may be wrong."""
    can = "can" if attempt.succeeded else "cannot"
    yield (
        f"the model {can} learn one batch of {len(batch)} samples by heart: loss {attempt.first_loss:.4g} before, "
        f"{attempt.last_loss:.4g} after {attempt.steps:,} steps"
    )
    yield from _doubts(batch)
    if not attempt.succeeded:
        yield from _causes(attempt, model, batch, outputs)


def _doubts(batch: Batch) -> Iterator[str]:
    """What makes either outcome say little."""
    for name, y in _parts(batch.y):
        if len(y) > 1 and np.all(y == y[:1]):
            yield f"all labels {name}of the batch are the same: only that answer is learnt; look at the labels"
    if len(batch) > 1 and np.all(batch.x == batch.x[:1]):
        yield "all samples of the batch are the same: nothing tells their labels apart; look at the data"


def _causes(attempt: Attempt, model: keras.Model, batch: Batch, outputs: tuple[Output, ...]) -> Iterator[str]:
    largest = float(np.abs(batch.x).max(initial=0.0))
    if batch.x.dtype != np.uint8 and largest > LARGE:
        yield f"values of the input reach {largest:,.0f}: scale them to about 1, with data.transform or a layer"
    if attempt.last_loss >= attempt.first_loss:
        yield f"the loss did not fall: train.learning_rate may be too high, now {_rate(model):.3g}"
    elif attempt.last_loss > 0.5 * attempt.first_loss:
        yield f"the loss has hardly fallen: train.learning_rate may be too low or too high, now {_rate(model):.3g}"
    else:
        yield "the loss was falling: more train.learning_rate, or a larger model, may do"
    predicted = [part for _, part in _parts(model.predict_on_batch(batch.x))]
    for output, values in zip(outputs, predicted, strict=False):
        low, high = float(np.min(values)), float(np.max(values))
        if output.activation in PROBABILITIES and (low < 0 or high > 1):
            yield (
                f"the last layer gives values from {low:.3g} to {high:.3g}, and not probabilities: loss and last "
                "layer may not fit; give it softmax or sigmoid, or a loss with from_logits=true"
            )


def _parts(values: Array | dict[str, Array] | None) -> Iterator[tuple[str, Array]]:
    if isinstance(values, dict):
        yield from ((f"of {name} ", np.asarray(part)) for name, part in values.items())
    elif values is not None:
        yield "", np.asarray(values)


def _rate(model: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
