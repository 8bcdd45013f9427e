"""A metric of Keras for labels in another form: class codes as one-hot rows, and one number per sample as a column."""

from __future__ import annotations

from typing import Any, Self

import keras


@keras.saving.register_keras_serializable("keras_runner")
class EncodedMetric(keras.metrics.Metric):  # type: ignore[misc]
    """`metric` over labels of shape `(n,)`: one-hot rows of `num_classes`; with 1, a column of shape `(n, 1)`.

    A model that holds one loads with `compile=True` once this module is imported.
    """

    def __init__(self, metric: keras.metrics.Metric, num_classes: int, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name or metric.name, **kwargs)
        self.metric, self.num_classes = metric, num_classes
        self._direction = getattr(metric, "_direction", None)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Update the metric with the encoded labels."""
        labels = keras.ops.reshape(y_true, (-1,))
        if self.num_classes > 1:
            encoded = keras.ops.one_hot(keras.ops.cast(labels, "int32"), self.num_classes)
        else:
            encoded = keras.ops.expand_dims(labels, -1)
        return self.metric.update_state(encoded, y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        """The metric's result."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Reset the metric."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """The metric as Keras saves it, and the number of classes."""
        metric = keras.saving.serialize_keras_object(self.metric)
        return {"metric": metric, "num_classes": self.num_classes, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The metric that `get_config` describes."""
        return cls(**{**config, "metric": keras.saving.deserialize_keras_object(config["metric"])})
