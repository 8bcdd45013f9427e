"""Training: one call of `fit` per epoch, under one list of callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from runner.callbacks.checkpoint import Checkpoint
from runner.callbacks.epoch_clock import EpochClock, EpochResult
from runner.callbacks.finite_loss import FiniteLoss
from runner.callbacks.monitoring import EarlyStopping, ReduceLROnPlateau
from runner.callbacks.run_callbacks import RunCallbacks
from runner.errors import ConfigurationError
from runner.feeds.delivery import Delivery
from runner.feeds.feed import feed
from runner.loaders.loader import Loader
from runner.models.outputs import Output, metric_names
from runner.records.digests import IdStream
from runner.stages.class_weights import class_weights
from runner.stages.settings import Train


@dataclass(frozen=True)
class Training:
    """What is trained on what; `validation` is None where the data has no such split."""

    model: keras.Model
    outputs: tuple[Output, ...]
    train: Loader
    validation: Loader | None
    settings: Train

    @property
    def steps_per_epoch(self) -> int:
        """Steps between two reports."""
        return self.settings.steps_per_epoch or len(self.train)

    def validates(self, epoch: int) -> bool:
        """Whether `epoch`, counted from 0, ends with validation."""
        return (epoch + 1) % self.settings.validation_every == 0 or epoch + 1 == self.settings.epochs

    @property
    def monitor(self) -> str:
        """The value that decides which epoch is the best."""
        if self.settings.monitor == "auto":
            return "val_loss" if self.validation else "loss"
        return self.settings.monitor

    @property
    def mode(self) -> str:
        """Which values of it are better; Keras knows that for a metric, but not for that of one output of several."""
        return "max" if self.monitor.endswith("accuracy") else "min"


@dataclass(frozen=True)
class Observer:
    """Whom training tells: of every step handed over, and of every epoch's row of metrics."""

    on_step: Callable[[int], None]
    on_epoch: Callable[[int, dict[str, float | None]], None]


def fit(training: Training, *, checkpoints: Path, observer: Observer) -> dict[str, Any]:
    """Train; returns the epochs run, whether they ended early, the samples seen and the digest of their ids.

    Global step `g` is step `g % len(loader)` of pass `g // len(loader)`, however long Keras's epochs are: nothing
    is skipped or repeated. Writes `last.keras` and `best.keras` into `checkpoints` after every epoch.

    Raises `ConfigurationError` where `train` names what the data or the model do not have, and `TrainingError` where
    the loss is no number any more.
    """
    _refuse_unknown_monitor(training)
    delivery, ids, finite = _delivery(training, observer), IdStream(), FiniteLoss()
    results: list[EpochResult] = []
    callbacks = RunCallbacks(
        [
            *([finite] if training.settings.terminate_on_nan else []),
            *_callbacks(training, checkpoints),
            EpochClock(results.append),
        ],
        training.model,
        epochs=training.settings.epochs,
        steps=training.steps_per_epoch,
    )
    samples_seen = 0
    for epoch in range(training.settings.epochs):
        steps = training.steps_per_epoch
        with finite.naming_batch(delivery, epoch * steps):
            _fit_epoch(training, delivery, callbacks, epoch)
        samples = delivery.settle(ids, epoch * steps, steps)
        samples_seen += samples
        observer.on_epoch(epoch + 1, _row(training, results[-1], samples, samples_seen))
        if training.model.stop_training:
            break
    callbacks.finish()
    return {
        "epochs": len(results),
        "stopped_early": len(results) < training.settings.epochs,
        "steps": len(results) * training.steps_per_epoch,
        "samples_seen": samples_seen,
        "ids": ids.hexdigest(),
    }


def _delivery(training: Training, observer: Observer) -> Delivery:
    given = training.settings.class_weight
    if given is None:
        return Delivery(training.train, observer.on_step)
    return Delivery(training.train, observer.on_step, class_weights(given, training.train.source.labels))


def _fit_epoch(training: Training, delivery: Delivery, callbacks: RunCallbacks, epoch: int) -> None:
    steps = training.steps_per_epoch
    train = feed(delivery, first_step=epoch * steps, num_steps=steps)
    validating = Delivery(training.validation) if training.validation and training.validates(epoch) else None
    validation = feed(validating) if validating else None
    with delivery.raising_failures(), (validating or delivery).raising_failures():
        training.model.fit(
            train.data,
            steps_per_epoch=train.steps,
            validation_data=validation and validation.data,
            validation_steps=validation and validation.steps,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )


def _callbacks(training: Training, checkpoints: Path) -> list[keras.callbacks.Callback]:
    stopping, plateau = training.settings.early_stopping, training.settings.reduce_lr_on_plateau
    monitor, mode = training.monitor, training.mode
    checkpoints.mkdir()
    return [
        *([EarlyStopping(monitor, mode=mode, **stopping.model_dump())] if stopping else []),
        *([ReduceLROnPlateau(monitor, mode=mode, **plateau.model_dump())] if plateau else []),
        Checkpoint(checkpoints / "last.keras"),
        Checkpoint(checkpoints / "best.keras", monitor=monitor, mode=mode, save_best_only=True),
    ]


def _row(training: Training, result: EpochResult, samples: int, samples_seen: int) -> dict[str, float | None]:
    return {
        **_scores(result.logs, validated=training.validation is not None),
        "learning_rate": result.learning_rate,
        "seconds": round(result.seconds, 4),
        "samples_seen": samples_seen,
        "images_per_second": round(samples / result.training_seconds, 1),
    }


def _scores(logs: dict[str, float], *, validated: bool) -> dict[str, float | None]:
    """Loss and metrics, then those of validation, None in an epoch that had none; in each, the loss comes first."""
    names = sorted((name for name in logs if not name.startswith("val_")), key=lambda name: name != "loss")
    if validated:
        names += [f"val_{name}" for name in names]
    return {name: logs.get(name) for name in names}


def _refuse_unknown_monitor(training: Training) -> None:
    known = list(_monitored(training))
    if training.monitor not in known:
        raise ConfigurationError(f"train.monitor must be auto or one of {', '.join(known)}, got {training.monitor!r}")


def _monitored(training: Training) -> Iterator[str]:
    for prefix in ("", "val_") if training.validation else ("",):
        yield from (prefix + name for name in ("loss", *metric_names(training.outputs)))
