"""What a model must give for each head of the data: units, activation, loss and metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runner.data.labels import Head


@dataclass(frozen=True)
class Output:
    """One output of the model.

    `shape` is the output's, without the batch dimension; `activation`, `loss` and `metrics` are Keras's identifiers.
    A `reconstruction` predicts the sample itself, in the range its values have.
    """

    name: str
    shape: tuple[int, ...]
    activation: str
    loss: str
    metrics: tuple[str, ...]
    num_classes: int = 0
    """Classes it tells apart; 0 where it predicts none."""
    reconstruction: bool = False

    @property
    def units(self) -> int:
        """Values per sample."""
        return math.prod(self.shape)


def output_of(head: Head, sample_shape: tuple[int, ...]) -> Output:
    """The output that predicts `head`, for samples of shape `sample_shape`."""
    name, num_classes = head.name or "label", len(head.class_names)
    match head.mode:
        case "categorical":
            return Output(name, (num_classes,), "softmax", "categorical_crossentropy", ("accuracy",), num_classes)
        case "sparse":
            return Output(
                name, (num_classes,), "softmax", "sparse_categorical_crossentropy", ("accuracy",), num_classes
            )
        case "binary":
            return Output(name, (1,), "sigmoid", "binary_crossentropy", ("accuracy",), num_classes)
        case "multi_label":
            return Output(name, (num_classes,), "sigmoid", "binary_crossentropy", ("binary_accuracy",), num_classes)
        case "raw":
            num_values = max(1, len(head.value_names))
            return Output(name, (num_values,), "linear", "mean_squared_error", ("mean_absolute_error",))
        case "input":
            loss, metrics = "mean_squared_error", ("mean_absolute_error",)
            return Output(name, sample_shape, "linear", loss, metrics, reconstruction=True)
