"""Checkpoints of the last and the best epoch.

Keras's callbacks that watch a value, for runs in which not every epoch has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras


class Checkpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Keras's own checkpoint, but the file is always a whole one: written beside, then renamed.

    The best epoch is looked for among those that have the monitored value.
    """

    kept = ("best",)

    def __init__(self, file: Path, **settings: Any) -> None:
        self._file, self._temporary = file, file.with_name(f".writing-{file.name}")
        super().__init__(str(self._temporary), **settings)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the file if the epoch calls for it."""
        if self.save_best_only and self.monitor not in (logs or {}):
            return
        super().on_epoch_end(epoch, logs)
        if self._temporary.exists():
            self._temporary.replace(self._file)


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
