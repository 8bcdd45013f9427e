"""The result of an epoch: its logs, its duration, and the time it waited for data."""

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
    """One epoch: its logs as Keras gives them, its last learning rate, its steps and its durations.

    `training_seconds` exclude validation; `wait_seconds` is the part of them spent waiting for batches. The `later_`
    fields exclude the first step of the run, in which frameworks compile the model.
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
        """Steps per second of training, without the first step of the run unless the epoch has no other."""
        if self.later_steps:
            return self.later_steps / self.later_training_seconds
        return self.steps / self.training_seconds

    @property
    def wait_share(self) -> float:
        """The share of the same time spent waiting: 0 to 1."""
        if self.later_steps:
            return self.later_wait_seconds / self.later_training_seconds
        return self.wait_seconds / self.training_seconds


class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls `on_result` after every epoch, with its validation. `waiting` is the clock of the training loader."""

    def __init__(self, waiting: Clock, on_result: Callable[[EpochResult], None]) -> None:
        super().__init__()
        self._waiting, self._on_result = waiting, on_result
        self._began = self._trained = 0.0
        self._waited = waiting.waited_seconds
        self._steps_begun = self._steps_before = 0
        self._first_over = self._first_over_waited = math.inf

    def begin_phase(self) -> None:
        """Count steps from here: the model is compiled once more in the next one."""
        self._steps_begun = self._steps_before = 0
        self._first_over = self._first_over_waited = math.inf

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock. A first batch that some backends read before this counts in the epoch."""
        early = self._waiting.waited_seconds - self._waited
        self._began, self._trained = time.perf_counter() - early, 0.0
        self._waiting.timeline.begin()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Note the end of the run's first step: the second one begins."""
        self._steps_begun += 1
        if self._steps_begun == 2:
            self._first_over, self._first_over_waited = time.perf_counter(), self._waiting.waited_seconds

    def on_test_begin(self, logs: Any = None) -> None:
        """Note the end of training: validation begins."""
        if not self._trained:
            self._trained = time.perf_counter()
            self._waiting.timeline.end()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop the clock and report the epoch."""
        self.on_test_begin()
        now, logs = time.perf_counter(), dict(logs or {})
        before, self._waited = self._waited, self._waiting.waited_seconds
        steps, self._steps_before = self._steps_begun - self._steps_before, self._steps_begun
        # ReduceLROnPlateau puts the epoch's rate here before it lowers that of the optimizer.
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
                later_steps=max(0, min(steps, self._steps_begun - 1)),
                later_training_seconds=max(0.0, self._trained - max(self._began, self._first_over)),
                later_wait_seconds=max(0.0, self._waited - max(before, self._first_over_waited)),
            )
        )


def shortest(value: Any) -> float:
    """The float with the fewest digits that reads back as the same float32: 0.001, not 0.0010000000474974513."""
    return float(str(np.float32(value)))
