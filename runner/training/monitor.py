"""`train.monitor`: check that the model reports it, decide whether lower or higher is better, and act on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import keras

from runner.batch import Batch
from runner.callbacks.monitored import Checkpoint, EarlyStopping, ReduceLROnPlateau
from runner.callbacks.training_state import build_variables
from runner.data.labels import Head
from runner.errors import ConfigurationError
from runner.models.score_columns import in_columns
from runner.training.model_file import BEST, LAST
from runner.training.settings import Train

Direction = Literal["min", "max"]
BETTER: dict[str | None, Direction] = {"up": "max", "down": "min"}


def better(
    model: keras.Model,
    name: str,
    *,
    validated: bool,
    first: Callable[[], Batch],
    heads: Sequence[Head] = (),
    mode: Literal["auto", "min", "max"] = "auto",
) -> Direction:
    """Whether lower (`min`) or higher (`max`) values of `name` are better: as `mode` says, if it is not `auto`.

    `first` returns a batch: a compiled model knows its metrics only after one. `heads` are those that its labels are
    for. Raises `ConfigurationError` if the model does not report `name`, or if it is a metric of the user's own for
    which nothing says the direction.
    """
    if name == "loss" or (validated and name == "val_loss"):
        return "min" if mode == "auto" else mode
    reported = sorted(in_columns(build_variables(model, first()), heads), key=lambda metric: metric != "loss")
    known = [prefix + metric for prefix in (("", "val_") if validated else ("",)) for metric in reported]
    if name not in known:
        raise ConfigurationError(f"train.monitor must be auto or one of {', '.join(known)}, got {name!r}")
    return _direction(model, name) if mode == "auto" else mode


def metric_goals(model: keras.Model, heads: Sequence[Head] = ()) -> dict[str, Direction]:
    """Which way each reported metric of a model that has taken a step is better; without those nothing says it of."""
    goals = {}
    for name in in_columns(model.get_metrics_result(), heads):
        with suppress(ConfigurationError):
            goals[name] = _direction(model, name)
    return goals


def watching(settings: Train, monitor: str, mode: Direction) -> list[keras.callbacks.Callback]:
    """The callbacks that act on the monitored value in a phase with these settings."""
    stopping, plateau = settings.early_stopping, settings.reduce_lr_on_plateau
    return [
        *([EarlyStopping(monitor, mode=mode, **stopping.model_dump())] if stopping else []),
        *([ReduceLROnPlateau(monitor, mode=mode, **plateau.model_dump())] if plateau else []),
    ]


def saved_models(folder: Path, monitor: str, mode: Direction, *, writes: bool) -> list[Checkpoint]:
    """The checkpoints of the last and the best epoch of all phases."""
    last = folder / LAST
    best = Checkpoint(folder / BEST, monitor=monitor, mode=mode, copied=last, writes=writes)
    return [Checkpoint(last, writes=writes), best]


def _direction(model: keras.Model, name: str) -> Direction:
    return _direction_by_name(name) or _direction_by_metric(model, name) or _direction_by_keras(model, name)


def _direction_by_name(name: str) -> Direction | None:
    if name.endswith(("accuracy", "iou", "dice")):  # also of one output of several, which Keras does not know
        return "max"
    if name.endswith(("_positives", "_negatives")):
        return "min" if "false_" in name else "max"
    return "min" if name.endswith(("loss", "error")) else None


def _direction_by_metric(model: keras.Model, name: str) -> Direction | None:
    """The direction of the metric whose column `name` is: with the name of an output before it, or of a class after."""
    metrics = [one for group in model.metrics for one in getattr(group, "metrics", ())]
    mine = [one for one in metrics if f"_{one.name}_" in f"_{name}_"]
    metric = max(mine, key=lambda one: len(one.name), default=None)
    return BETTER.get(getattr(metric, "_direction", None))


def _direction_by_keras(model: keras.Model, name: str) -> Direction:
    """The direction that Keras assumes, read from a callback after its first epoch."""
    watching = keras.callbacks.EarlyStopping(name, mode="auto")
    watching.set_model(model)
    watching.on_train_begin()
    try:
        watching.on_epoch_end(0, {name: 0.0})
    except ValueError as error:
        raise ConfigurationError(
            f"train.monitor must be a value whose better direction Keras knows, got {name!r}; set "
            "train.monitor_mode=max (higher is better) or min, or let the metric's name end in accuracy or error"
        ) from error
    return "max" if watching.monitor_op(1.0, 0.0) else "min"
