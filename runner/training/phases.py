"""The phases of a training, one after the other: each trains its layers, with a new optimizer that goes on.

A phase sets which layers are trained, compiles the model, builds the new optimizer at once, and takes over what the one
before had learnt: its iterations, and the values that it kept for each weight that is still trained. A training without
phases is one phase, in which nothing of this happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from runner.callbacks.training_state import build_optimizer
from runner.errors import ConfigurationError
from runner.messages import plural
from runner.models.phase_optimizer import carry_over, inner_optimizer
from runner.models.trainable import TrainableLayers
from runner.records.state import State
from runner.training.backend import log_retracing
from runner.training.settings import Train

Compile = Callable[[keras.Model, Callable[[], keras.Optimizer], int], None]
"""Compiles a model for the phase of a number, with the optimizer that the function makes: where its variables are."""


@dataclass(frozen=True)
class PhasePlace:
    """Where in its phases a training is: the phase, counted from 0, the epochs before it, and whether it has stopped.

    `iteration` is that of the optimizer at the first step of the phase.
    """

    number: int = 0
    first_epoch: int = 0
    iteration: int = 0
    has_stopped: bool = False

    @classmethod
    def of(cls, state: State | None) -> PhasePlace:
        """The place that a state names; the beginning if it names none."""
        named = None if state is None else state.document["counts"].get("phase")
        return cls() if named is None else cls(**{**named, "number": named["number"] - 1})

    def document(self) -> dict[str, Any]:
        """The place as plain values, with the phase counted from 1."""
        return {**vars(self), "number": self.number + 1}


class Phases:
    """The phases of the training of `model`, at the one of `place`.

    `begin` sets the first one, or the one that a state is in; `begin_next` the one after it.
    """

    def __init__(self, train: Train, steps_per_epoch: int, place: PhasePlace, compile_model: Compile) -> None:
        self._train, self._steps_per_epoch, self._compile = train, steps_per_epoch, compile_model
        self.place = place
        self._layers: TrainableLayers | None = None
        if place.number >= len(self):
            raise ConfigurationError(
                f"train.phases must have at least {plural(place.number + 1, 'phase')}, as the run is in that one, got "
                f"{len(train.phases)}; give them, or start a new run"
            )

    @classmethod
    def single(cls, train: Train, steps_per_epoch: int) -> Phases:
        """The only phase of a model that is compiled already."""
        return cls(train, steps_per_epoch, PhasePlace(), lambda *_: None)

    def __len__(self) -> int:
        return max(1, len(self._train.phases))

    @property
    def _are_given(self) -> bool:
        return bool(self._train.phases)

    @property
    def settings(self) -> Train:
        """The settings of training in this phase."""
        return self._train.in_phase(self.place.number)

    @property
    def _end_epoch(self) -> int:
        return self.place.first_epoch + self.settings.epochs

    @property
    def end(self) -> int:
        """The global step at which this phase ends unless it stops early."""
        return self._end_epoch * self._steps_per_epoch

    @property
    def has_stopped(self) -> bool:
        """Whether this phase has stopped early."""
        return self.place.has_stopped

    def is_over(self, step: int) -> bool:
        """Whether this phase is over at global step `step`."""
        return self.has_stopped or step >= self.end

    def are_over(self, step: int) -> bool:
        """Whether the last phase is over."""
        return self.place.number + 1 == len(self) and self.is_over(step)

    def validates(self, epoch: int) -> bool:
        """Whether `epoch`, counted from 0, ends with validation; the last one of a phase always does."""
        return (epoch + 1) % self._train.validation_every == 0 or epoch + 1 == self._end_epoch

    @property
    def named(self) -> Mapping[str, Any] | None:
        """The place for a state; None for a training without phases."""
        return self.place.document() if self._are_given else None

    def stop(self) -> None:
        """Stop this phase early."""
        self.place = replace(self.place, has_stopped=True)

    def begin(self, model: keras.Model) -> None:
        """Set the layers that this phase trains, and compile the model."""
        if self._are_given:
            log_retracing()
            self._layers = TrainableLayers(model)
            place, places = self.place, [PhasePlace(number) for number in range(len(self))]
            for self.place in (*places, place):  # a phase that cannot be trained is refused before the first one is
                self._set(self._layers)
                self._optimizer()
        self._compile(model, self._optimizer, self.place.number)

    def begin_next(self, model: keras.Model, step: int) -> None:
        """Begin the phase after this one, at global step `step`: with the optimizer of this one, as far as it fits."""
        before, layers = model.optimizer, self._layers
        if layers is None:
            raise RuntimeError("begin() must come before begin_next()")
        place = PhasePlace(self.place.number + 1, step // self._steps_per_epoch)
        goes_on = self._train.in_phase(place.number).describe_optimizer() == self.settings.describe_optimizer()
        self.place = replace(place, iteration=int(inner_optimizer(before)._iterations) if goes_on else 0)
        self._set(layers)
        self._compile(model, self._optimizer, self.place.number)
        build_optimizer(model)
        carry_over(before, model.optimizer, goes_on=goes_on)

    @property
    def num_trained_weights(self) -> int:
        """How many numbers this phase trains."""
        return 0 if self._layers is None else self._layers.num_trained_weights

    def describe(self) -> str:
        """The phase in words: its epochs, what it trains, and how fast."""
        layers = "" if self._layers is None else f"trains {self._layers.describe()}, "
        epochs = plural(self.settings.epochs, "epoch")
        return f"{self.place.number + 1} of {len(self)}: {epochs}, {layers}{self.describe_optimizer()}"

    def describe_optimizer(self) -> str:
        """The optimizer of the phase, and its learning rate or schedule."""
        return f"{self.settings.describe_optimizer()} at {self.settings.describe_rate()}"

    def _set(self, layers: TrainableLayers) -> None:
        phase, called = self._train.phases[self.place.number], f"train.phases[{self.place.number}]"
        trainable = phase.changes("trainable").get("trainable")
        layers.set(trainable, f"{called}.trainable", freeze_batch_norm=phase.freeze_batch_norm)
        if not layers.num_trained_weights:
            raise ConfigurationError(f"{called} must train at least one weight, got none; raise its trainable")

    def _optimizer(self) -> keras.Optimizer:
        num_steps = self.settings.epochs * self._steps_per_epoch
        optimizer = self.settings.build_optimizer(num_steps, first_step=self.place.iteration)
        if self._are_given and getattr(optimizer, "use_ema", False):
            raise ConfigurationError(
                "train.phases must be left out with an optimizer that keeps averages of the weights (use_ema), which "
                "are not carried over to the next phase; leave one of them out"
            )
        return optimizer
