"""Keras's callbacks that watch a value, for runs in which not every epoch has it."""

from __future__ import annotations

from typing import Any

import keras


class WhereMonitored:
    """Passes over the epochs whose logs lack the monitored value, where Keras would warn."""

    monitor: str

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the epoch if there is something to see."""
        if self.monitor in (logs or {}):
            super().on_epoch_end(epoch, logs)  # type: ignore[misc]


class EarlyStopping(WhereMonitored, keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Ends training once the value no longer improves; patience counts the epochs that have it."""

    kept = ("wait", "best", "best_epoch", "best_weights", "stopped_epoch")


class ReduceLROnPlateau(WhereMonitored, keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
    """Lowers the learning rate once the value no longer improves; patience counts the epochs that have it."""

    kept = ("wait", "best", "cooldown_counter")
