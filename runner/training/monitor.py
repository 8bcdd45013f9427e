"""The value that decides which epoch is the best: whether the model reports it, and which values of it are better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import keras

from runner.batch import Batch
from runner.callbacks.training_state import build_variables
from runner.errors import ConfigurationError


def better(model: keras.Model, name: str, *, validated: bool, first: Callable[[], Batch]) -> Literal["min", "max"]:
    """Which values of `name` are better. What a compiled model reports is known once it saw a batch, the `first`.

    Raises `ConfigurationError` where the model does not report it, or it is a metric of the user's own of which
    nobody knows which values are better.
    """
    if name == "loss" or (validated and name == "val_loss"):
        return "min"
    reported = sorted(build_variables(model, first()), key=lambda metric: metric != "loss")
    known = [prefix + metric for prefix in (("", "val_") if validated else ("",)) for metric in reported]
    if name not in known:
        raise ConfigurationError(f"train.monitor must be auto or one of {', '.join(known)}, got {name!r}")
    if name.endswith("accuracy"):  # of one output of several, too, which Keras does not know
        return "max"
    if name.endswith(("loss", "error")):
        return "min"
    return _as_keras_has_it(model, name)


def _as_keras_has_it(model: keras.Model, name: str) -> Literal["min", "max"]:
    """What Keras takes for better, found by a callback's first epoch."""
    watching = keras.callbacks.EarlyStopping(name, mode="auto")
    watching.set_model(model)
    watching.on_train_begin()
    try:
        watching.on_epoch_end(0, {name: 0.0})
    except ValueError as error:
        raise ConfigurationError(
            f"train.monitor must be a value of which Keras knows whether more is better, got {name!r}; choose loss or "
            "one of keras.metrics, or end the metric's name in accuracy (more is better) or error (less is)"
        ) from error
    return "max" if watching.monitor_op(1.0, 0.0) else "min"
