"""Metrics of Keras for labels in another form: codes as one-hot rows, numbers as a column, mixed labels as whole."""

from __future__ import annotations

from typing import Any, Self

import keras

HALF = 0.5
"""The share of a sample from which on it has a class."""


class LabelledMetric(keras.metrics.Metric):  # type: ignore[misc]
    """`metric` over labels in another form, which `encoded` returns.

    A model that holds one loads with `compile=True` once this module is imported.
    """

    def __init__(self, metric: keras.metrics.Metric, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name or metric.name, **kwargs)
        self.metric = metric
        self._direction = getattr(metric, "_direction", None)

    def encoded(self, y_true: Any) -> Any:
        """The labels as the metric takes them."""
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Update the metric with the encoded labels."""
        return self.metric.update_state(self.encoded(y_true), y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        """The metric's result."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Reset the metric."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """The metric as Keras saves it."""
        return {"metric": keras.saving.serialize_keras_object(self.metric), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The metric that `get_config` describes."""
        return cls(**{**config, "metric": keras.saving.deserialize_keras_object(config["metric"])})


@keras.saving.register_keras_serializable("keras_runner")
class EncodedMetric(LabelledMetric):
    """`metric` over labels of shape `(n,)`: one-hot rows of `num_classes`; with 1, a column of shape `(n, 1)`."""

    def __init__(self, metric: keras.metrics.Metric, num_classes: int, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(metric, name, **kwargs)
        self.num_classes = num_classes

    def encoded(self, y_true: Any) -> Any:
        """One-hot rows, or a column."""
        labels = keras.ops.reshape(y_true, (-1,))
        if self.num_classes > 1:
            return keras.ops.one_hot(keras.ops.cast(labels, "int32"), self.num_classes)
        return keras.ops.expand_dims(labels, -1)

    def get_config(self) -> dict[str, Any]:
        """The metric as Keras saves it, and the number of classes."""
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable("keras_runner")
class WholeLabelMetric(LabelledMetric):
    """`metric` over labels that are shares of classes, as MixUp and CutMix make them: the class with most of a sample.

    With `exclusive` that is one class of a row; without, each class of which the sample has half or more. Labels that
    are whole already stay as they are.
    """

    def __init__(
        self, metric: keras.metrics.Metric, *, exclusive: bool, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(metric, name, **kwargs)
        self.exclusive = exclusive

    def encoded(self, y_true: Any) -> Any:
        """Labels of 0 and 1."""
        if self.exclusive:
            return keras.ops.one_hot(keras.ops.argmax(y_true, axis=-1), y_true.shape[-1])
        return keras.ops.cast(y_true >= HALF, "float32")

    def get_config(self) -> dict[str, Any]:
        """The metric as Keras saves it, and whether a sample has one class."""
        return {**super().get_config(), "exclusive": self.exclusive}
