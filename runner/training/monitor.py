"""`train.monitor`: check that the model reports it, decide whether lower or higher is better, and act on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import keras

from runner.batch import Batch
from runner.callbacks.monitored import Checkpoint, EarlyStopping, ReduceLROnPlateau
from runner.callbacks.training_state import build_variables
from runner.data.labels import Head
from runner.errors import ConfigurationError, TrainingError
from runner.messages import did_you_mean
from runner.models.score_columns import in_columns
from runner.records.metrics import FACTS, PHASE
from runner.training.model_file import BEST, LAST
from runner.training.settings import Train
from runner.training.setup import Training

Direction = Literal["min", "max"]
BETTER: dict[str | None, Direction] = {"up": "max", "down": "min"}


def direction_of(training: Training) -> Direction:
    """Whether lower (`min`) or higher (`max`) values of the monitored value are better.

    A callback of the user's may add a value that nobody knows before the first epoch: `refuse_absent` looks then.
    Raises `ConfigurationError` if there are no callbacks and the model does not report the value.
    """
    name, mode, validated = training.monitor, training.settings.monitor_mode, training.validation is not None
    if name == "loss" or (validated and name == "val_loss"):
        return "min" if mode == "auto" else mode
    known = known_columns(training.model, training.train.first_batch(), training.heads, validated=validated)
    if name not in known and not training.callbacks:
        raise ConfigurationError(unknown_monitor(name, known))
    return better(training.model, name) if mode == "auto" else mode


def known_columns(model: keras.Model, first: Batch, heads: Sequence[Head] = (), *, validated: bool) -> list[str]:
    """The losses and metrics that `model` reports, which it knows only after a batch; those of validation, too."""
    reported = sorted(in_columns(build_variables(model, first), heads), key=lambda metric: metric != "loss")
    return [prefix + metric for prefix in (("", "val_") if validated else ("",)) for metric in reported]


def unknown_monitor(name: str, known: Sequence[str], why: str = "") -> str:
    """The problem with a monitored value that is none of the `known` columns."""
    return f"train.monitor must be auto or one of {', '.join(known)}, got {name!r}{why}{did_you_mean(name, known)}"


def refuse_absent(training: Training, epoch: int, row: Mapping[str, float | None]) -> None:
    """Raise `TrainingError` if the row of the first validated epoch, counted from 0, lacks the monitored value.

    Only a callback of the user's can fail to give it.
    """
    first = min(training.settings.validation_every, training.settings.in_phase(0).epochs)
    if training.callbacks and epoch + 1 == first and row.get(training.monitor) is None:
        why = f", which no callback has added to the logs of epoch {epoch + 1}"
        raise TrainingError(
            unknown_monitor(training.monitor, [name for name in row if name not in (*FACTS, PHASE)], why)
        )


def better(model: keras.Model, name: str) -> Direction:
    """Whether lower (`min`) or higher (`max`) values of `name` are better, in a model that has seen a batch.

    Raises `ConfigurationError` if it is a value of the user's own for which nothing says so.
    """
    return _direction_by_name(name) or _direction_by_metric(model, name) or _direction_by_keras(model, name)


def metric_goals(model: keras.Model, heads: Sequence[Head] = ()) -> dict[str, Direction]:
    """Which way each reported metric of a model that has taken a step is better; without those nothing says it of."""
    goals = {}
    for name in in_columns(model.get_metrics_result(), heads):
        with suppress(ConfigurationError):
            goals[name] = better(model, name)
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
