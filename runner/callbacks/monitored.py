"""Checkpoints, early stopping and learning-rate reduction, for runs in which not every epoch has validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from runner.errors import RunnerError


class Checkpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Keras's checkpoint, written to a temporary name and renamed, so that the file is always complete.

    The best epoch is one of those that have the monitored value.
    """

    kept = ("best",)

    def __init__(self, file: Path, **settings: Any) -> None:
        self._file, self._temporary = file, file.with_name(f".writing-{file.name}")
        super().__init__(str(self._temporary), **settings)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the file if the epoch is the last or the best one so far.

        Raises `RunnerError` if it cannot be written.
        """
        if self.save_best_only and self.monitor not in (logs or {}):
            return
        try:
            super().on_epoch_end(epoch, logs)
            if self._temporary.exists():
                self._temporary.replace(self._file)
        except OSError as error:
            raise RunnerError(f"cannot write {self._file}: {error.strerror or error}") from error
        finally:  # on a full disk, its space is needed to close the record
            self._temporary.unlink(missing_ok=True)


class WhereMonitored:
    """Skips epochs whose logs lack the monitored value, for which Keras would warn."""

    monitor: str

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Pass the epoch on if it has the monitored value."""
        if self.monitor in (logs or {}):
            super().on_epoch_end(epoch, logs)  # type: ignore[misc]


class EarlyStopping(WhereMonitored, keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Ends training once the value no longer improves; patience counts epochs that have the value."""

    kept = ("wait", "best", "best_epoch", "best_weights", "stopped_epoch")


class ReduceLROnPlateau(WhereMonitored, keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
    """Lowers the learning rate once the value no longer improves; patience counts epochs that have the value."""

    kept = ("wait", "best", "cooldown_counter")
