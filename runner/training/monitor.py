"""`train.monitor`: check that the model reports this value, and decide whether lower or higher is better."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import keras

from runner.batch import Batch
from runner.callbacks.training_state import build_variables
from runner.errors import ConfigurationError


def better(model: keras.Model, name: str, *, validated: bool, first: Callable[[], Batch]) -> Literal["min", "max"]:
    """Whether lower (`min`) or higher (`max`) values of `name` are better.

    `first` returns a batch: a compiled model knows its metrics only after one. Raises `ConfigurationError` if the model
    does not report `name`, or if it is a metric of the user's own for which Keras knows no direction.
    """
    if name == "loss" or (validated and name == "val_loss"):
        return "min"
    reported = sorted(build_variables(model, first()), key=lambda metric: metric != "loss")
    known = [prefix + metric for prefix in (("", "val_") if validated else ("",)) for metric in reported]
    if name not in known:
        raise ConfigurationError(f"train.monitor must be auto or one of {', '.join(known)}, got {name!r}")
    return _direction_by_name(name) or _direction_by_keras(model, name)


def metric_goals(model: keras.Model) -> dict[str, Literal["min", "max"]]:
    """Which way each reported metric of a model that has taken a step is better; without those nothing says it of."""
    goals = {}
    for name in model.get_metrics_result():
        with suppress(ConfigurationError):
            goals[name] = _direction_by_name(name) or _direction_by_keras(model, name)
    return goals


def _direction_by_name(name: str) -> Literal["min", "max"] | None:
    if name.endswith(("accuracy", "iou", "dice")):  # also of one output of several, which Keras does not know
        return "max"
    return "min" if name.endswith(("loss", "error")) else None


def _direction_by_keras(model: keras.Model, name: str) -> Literal["min", "max"]:
    """The direction that Keras assumes, read from a callback after its first epoch."""
    watching = keras.callbacks.EarlyStopping(name, mode="auto")
    watching.set_model(model)
    watching.on_train_begin()
    try:
        watching.on_epoch_end(0, {name: 0.0})
    except ValueError as error:
        raise ConfigurationError(
            f"train.monitor must be a value whose better direction Keras knows, got {name!r}; choose loss or one of "
            "keras.metrics, or let the metric's name end in accuracy (higher is better) or error (lower is better)"
        ) from error
    return "max" if watching.monitor_op(1.0, 0.0) else "min"
