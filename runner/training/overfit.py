"""`debug=overfit`: whether a model can memorise one batch, and if not, what may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from runner.batch import Array, Batch
from runner.fields import arrays_of
from runner.messages import plural
from runner.models.base import Output

ENOUGH = 0.01
"""The share of the first loss from which on the loss counts as near zero."""
PROBABILITIES = ("softmax", "sigmoid")
"""Activations whose values are probabilities."""
LARGE = 100.0
"""An input with values above this counts as unscaled."""


@dataclass(frozen=True)
class OverfitResult:
    """The steps on one batch, the loss before the first step, and the mean loss of the last epoch."""

    steps: int
    first_loss: float
    last_loss: float

    @property
    def succeeded(self) -> bool:
        """Whether the loss came near zero."""
        return self.last_loss <= ENOUGH * self.first_loss


def verdict(result: OverfitResult, model: keras.Model, batch: Batch, outputs: tuple[Output, ...]) -> Iterator[str]:
    """Whether the model memorised `batch`, then what may be wrong with the labels, the inputs or the model."""
    can = "can" if result.succeeded else "cannot"
    yield (
        f"the model {can} memorise one batch of {plural(len(batch), 'sample')}: "
        f"loss {result.first_loss:.4g} before training, {result.last_loss:.4g} after {plural(result.steps, 'step')}"
    )
    yield from _doubts(batch)
    if not result.succeeded:
        yield from _causes(result, model, batch, outputs)


def _doubts(batch: Batch) -> Iterator[str]:
    """Properties of the batch that make either outcome meaningless."""
    for name, y in _parts(batch.y):
        if len(y) > 1 and np.all(y == y[:1]):
            yield f"all labels {name}of the batch are the same: the model learns only that answer; check the labels"
    if len(batch) > 1 and all(np.all(array == array[:1]) for _, array in arrays_of(batch.x)):
        yield "all samples of the batch are the same, so their labels cannot be learned; check the data"


def _causes(result: OverfitResult, model: keras.Model, batch: Batch, outputs: tuple[Output, ...]) -> Iterator[str]:
    for name, array in arrays_of(batch.x):
        largest = float(np.abs(array).max(initial=0.0))
        if array.dtype != np.uint8 and largest > LARGE:
            called = f"values of {name}" if name else "input values"
            yield f"{called} reach {largest:,.0f}: scale them to about 1, with data.transform or a layer"
    if result.last_loss >= result.first_loss:
        yield f"the loss did not fall: train.learning_rate ({_rate(model):.3g}) may be too high"
    elif result.last_loss > 0.5 * result.first_loss:
        yield f"the loss hardly fell: train.learning_rate ({_rate(model):.3g}) may be too low or too high"
    else:
        yield "the loss was still falling: a higher train.learning_rate or a larger model may help"
    predicted = [part for _, part in _parts(model.predict_on_batch(batch.x))]
    for output, values in zip(outputs, predicted, strict=False):
        low, high = float(np.min(values)), float(np.max(values))
        if output.activation in PROBABILITIES and (low < 0 or high > 1):
            yield (
                f"the last layer outputs values from {low:.3g} to {high:.3g}, not probabilities, so the loss may "
                "not fit; give it softmax or sigmoid, or use a loss with from_logits=True"
            )


def _parts(values: Array | dict[str, Array] | None) -> Iterator[tuple[str, Array]]:
    if isinstance(values, dict):
        yield from ((f"of {name} ", np.asarray(part)) for name, part in values.items())
    elif values is not None:
        yield "", np.asarray(values)


def _rate(model: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
