"""Checkpoints of the last and the best epoch."""

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
