"""What a training is made of, and whom it informs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras

from runner.batch import Array
from runner.callbacks.user_callbacks import UserCallback
from runner.data.labels import Head
from runner.loaders.blend import PhaseAugmentation
from runner.loaders.loader import Loader
from runner.training.phases import Phases
from runner.training.settings import Train


@dataclass(frozen=True)
class Training:
    """A model, the loaders it is trained and validated on, and the settings; `validation` is None without that split.

    Training ends after the first epoch whose loss is at most `enough_loss`. `pixels` counts those of each class for
    `train.class_weight=balanced`; None if targets are not masks. A process of a group that does not lead neither writes
    states and checkpoints nor ends the training because of a loss. `callbacks` are the user's. `phases` are at the one
    that the model is compiled for; `augmentations` are those of training samples by phase, None if they are all alike.
    """

    model: keras.Model
    train: Loader
    validation: Loader | None
    settings: Train
    enough_loss: float = -math.inf
    pixels: Array | None = None
    leads: bool = True
    callbacks: tuple[UserCallback, ...] = ()
    phases: Phases | None = None
    augmentations: Sequence[PhaseAugmentation] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Steps between two reports."""
        return self.settings.steps_per_epoch or len(self.train)

    def is_state_due(self, step: int, seconds: float) -> bool:
        """Whether to write a state after `step` steps, `seconds` after the last state."""
        return self.leads and self.settings.checkpoint_every.is_due(step, seconds, steps_per_epoch=self.steps_per_epoch)

    @property
    def mixed(self) -> list[bool]:
        """Whether samples are mixed with each other, by phase."""
        blends = [one.blend for one in self.augmentations or ()] or [self.train.blend] * len(self.settings.each())
        return [blend is not None for blend in blends]

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the labels are for."""
        return self.train.source.labels.heads

    @property
    def monitor(self) -> str:
        """The value that decides which epoch is the best."""
        if self.settings.monitor == "auto":
            return "val_loss" if self.validation else "loss"
        return self.settings.monitor


class TrainingObserver:
    """Whom training informs. Nothing is done here: a subclass overrides what it wants to know."""

    def on_begin(self, values: Callable[[], Mapping[str, float]]) -> None:
        """Before the first step, when nothing can refuse the training any more.

        `values` returns the loss and the metrics of the epoch so far, from any thread and without waiting for a step.
        """

    def on_phase(self, phases: Phases) -> None:
        """Where a phase begins, and where a resumed training goes on in one."""

    def on_step(self, step: int) -> None:
        """When the batch of global step `step`, counted from 0, is on its way to the model."""

    def on_epoch(self, epoch: int, row: Mapping[str, float | None]) -> None:
        """When an epoch, counted from 1, has ended with its validation: its row of metrics.csv."""

    def on_weights(self, digests: list[str | None]) -> None:
        """After every epoch, the digests of the weights of all epochs so far; None where one is not known."""

    def on_goals(self, goals: Mapping[str, str]) -> None:
        """After the first epoch, which way each metric is better: `min` or `max`."""
