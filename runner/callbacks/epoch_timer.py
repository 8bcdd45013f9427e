"""How long an epoch took, how much of that was waiting, and what it came to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from runner.loaders.timing import Clock


@dataclass(frozen=True)
class EpochResult:
    """One epoch: its logs as Keras gives them, the learning rate it ended with, its steps and its durations.

    `training_seconds` are without validation; `wait_seconds` of them were spent waiting for batches. The
    `later_` ones are what of these came after the first step of the run, in which frameworks compile the model.
    """

    epoch: int
    logs: dict[str, float]
    learning_rate: float
    seconds: float
    steps: int
    training_seconds: float
    wait_seconds: float
    later_steps: int
    later_training_seconds: float
    later_wait_seconds: float

    @property
    def steps_per_second(self) -> float:
        """While training, but for the first step of the run, unless the epoch had no other."""
        if self.later_steps:
            return self.later_steps / self.later_training_seconds
        return self.steps / self.training_seconds

    @property
    def wait_share(self) -> float:
        """Of the same time, what was waiting: 0 to 1."""
        if self.later_steps:
            return self.later_wait_seconds / self.later_training_seconds
        return self.wait_seconds / self.training_seconds


class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells `on_result` of every epoch, once all that belongs to it, validation too, is done.

    `waiting` is the clock of the loader that is trained from.
    """

    def __init__(self, waiting: Clock, on_result: Callable[[EpochResult], None]) -> None:
        super().__init__()
        self._waiting, self._on_result = waiting, on_result
        self._began = self._trained = 0.0
        self._waited = waiting.waited_seconds
        self._steps_begun = self._steps_before = 0
        self._first_over = self._first_over_waited = math.inf

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock; before, on some backends, a first batch was waited for, which is part of the epoch."""
        early = self._waiting.waited_seconds - self._waited
        self._began, self._trained = time.perf_counter() - early, 0.0
        self._waiting.timeline.begin()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The first step of the run is over where the second one begins."""
        self._steps_begun += 1
        if self._steps_begun == 2:
            self._first_over, self._first_over_waited = time.perf_counter(), self._waiting.waited_seconds

    def on_test_begin(self, logs: Any = None) -> None:
        """Training is over where validation begins."""
        if not self._trained:
            self._trained = time.perf_counter()
            self._waiting.timeline.end()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop the clock and tell."""
        self.on_test_begin()
        now, logs = time.perf_counter(), dict(logs or {})
        before, self._waited = self._waited, self._waiting.waited_seconds
        steps, self._steps_before = self._steps_begun - self._steps_before, self._steps_begun
        # ReduceLROnPlateau notes the epoch's rate here before it lowers the optimizer's.
        rate = logs.pop("learning_rate", self.model.optimizer.learning_rate)
        self._on_result(
            EpochResult(
                epoch=epoch,
                logs=logs,
                learning_rate=shortest(rate),
                seconds=now - self._began,
                steps=steps,
                training_seconds=self._trained - self._began,
                wait_seconds=self._waited - before,
                later_steps=min(steps, self._steps_begun - 1),
                later_training_seconds=max(0.0, self._trained - max(self._began, self._first_over)),
                later_wait_seconds=max(0.0, self._waited - max(before, self._first_over_waited)),
            )
        )


def shortest(value: Any) -> float:
    """A float32 as the float with the fewest digits that reads back as it: 0.001, not 0.0010000000474974513."""
    return float(str(np.float32(value)))
