"""One list of callbacks for the whole run, though `fit` is called once per epoch."""

from __future__ import annotations

from typing import Any

import keras

from runner.callbacks.averages import WeightAverages
from runner.callbacks.paced import PacedCallbacks


class RunCallbacks(PacedCallbacks):
    """Lets `on_train_begin` through at the first call of `fit` only, and `on_train_end` only at `finish`.

    So callbacks that count over epochs (early stopping, learning-rate reduction, the history) never begin anew, and
    averages of the weights (`use_ema`) replace them at the run's end alone.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback], model: keras.Model, **params: Any) -> None:
        super().__init__(callbacks, add_history=True, model=model, verbose=0, **params)
        self._begun = False
        self._logs: Any = None
        self._averages = WeightAverages(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin the run, once."""
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Average the weights while training."""
        self._averages.resume()
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """End the epoch; then keep `fit` from putting the averages in place, which it does next."""
        super().on_epoch_end(epoch, logs)
        self._averages.suspend()

    def on_train_end(self, logs: Any = None) -> None:
        """Remember the logs: the end of one `fit` is not the end of the run."""
        self._logs = logs

    def flush(self) -> None:
        """Wait for the callbacks of the steps so far: on JAX, Keras runs those that allow it in other threads."""
        if self._async_train:
            self._flush_futures()

    def finish(self) -> None:
        """End the run, also one without an epoch; a callback that gives earlier weights back has the last word."""
        self.on_train_begin()
        self._averages.apply()
        super().on_train_end(self._logs)
