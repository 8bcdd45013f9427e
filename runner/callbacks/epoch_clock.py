"""How long an epoch took, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class EpochResult:
    """One epoch: its logs as Keras gives them, the learning rate it ended with, and its durations."""

    epoch: int
    logs: dict[str, float]
    learning_rate: float
    seconds: float
    training_seconds: float


class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells `on_result` of every epoch, once all that belongs to it, validation too, is done."""

    def __init__(self, on_result: Callable[[EpochResult], None]) -> None:
        super().__init__()
        self._on_result = on_result
        self._began = self._trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock."""
        self._began, self._trained = time.perf_counter(), 0.0

    def on_test_begin(self, logs: Any = None) -> None:
        """Training is over where validation begins."""
        self._trained = self._trained or time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop the clock and tell."""
        now, logs = time.perf_counter(), dict(logs or {})
        # ReduceLROnPlateau notes the epoch's rate here before it lowers the optimizer's.
        rate = logs.pop("learning_rate", self.model.optimizer.learning_rate)
        self._on_result(
            EpochResult(
                epoch=epoch,
                logs=logs,
                learning_rate=shortest(rate),
                seconds=now - self._began,
                training_seconds=(self._trained or now) - self._began,
            )
        )


def shortest(value: Any) -> float:
    """A float32 as the float with the fewest digits that reads back as it: 0.001, not 0.0010000000474974513."""
    return float(str(np.float32(value)))
