"""Checkpoints, early stopping and learning-rate reduction, for runs in which not every epoch has validation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from runner.errors import RunnerError


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """The model of the last epoch, or with `monitor` of the best one of those that have this value.

    The file is written to a temporary name and renamed, so that it is always complete. `copied`: the file of a
    checkpoint that comes first and has just saved the model; it is copied, as saving takes longer. Without `writes`
    only the best value is kept: another process writes the file.
    """

    kept = ("best",)

    def __init__(
        self,
        file: Path,
        *,
        monitor: str | None = None,
        mode: str = "min",
        copied: Path | None = None,
        writes: bool = True,
    ) -> None:
        super().__init__()
        self._writes = writes
        self.monitor = monitor
        self.best: float | None = None
        self._file, self._temporary, self._copied = file, file.with_name(f".writing-{file.name}"), copied
        self._is_better = np.less if mode == "min" else np.greater

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the file if the epoch is the last or the best one so far.

        Raises `RunnerError` if it cannot be written.
        """
        if self.monitor is not None:
            value = (logs or {}).get(self.monitor)
            if value is None or not (self.best is None or self._is_better(value, self.best)):
                return
            self.best = value
        if not self._writes:
            return
        try:
            if self._copied is None:
                self.model.save(self._temporary, overwrite=True)
            else:
                shutil.copyfile(self._copied, self._temporary)
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

    has_stopped = False
    """Whether it, and no callback before it, has stopped the training."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Decide whether this is the last epoch."""
        was_stopped = self.model.stop_training
        super().on_epoch_end(epoch, logs)
        self.has_stopped = self.model.stop_training and not was_stopped


class ReduceLROnPlateau(WhereMonitored, keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
    """Lowers the learning rate once the value no longer improves; patience counts epochs that have the value."""

    kept = ("wait", "best", "cooldown_counter")
