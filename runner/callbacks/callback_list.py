"""One list of callbacks for the whole run, though `fit` is called once per epoch.

Callbacks that keep JAX from running ahead of the device.

Averages of the weights (`use_ema`) over many calls of `fit`.
"""

from __future__ import annotations

from typing import Any

import keras


class PacedCallbacks(keras.callbacks.CallbackList):  # type: ignore[misc]
    """Lets two steps be in flight at most: the one that is computed, and the one that comes next.

    JAX returns from a step before it is computed, and Keras reads its logs in other threads: dozens of batches would
    be held for steps to come. So once a step is on its way, the one before it is waited for. On TensorFlow Keras reads
    the logs of each step in the training thread, which is as good as waiting; on PyTorch a CPU computes at once, and
    the feed sees to a GPU.
    """

    _results: Any = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """As Keras; then wait."""
        super().on_train_batch_end(batch, logs)
        self._wait_for_the_step_before(logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """As Keras; then wait."""
        super().on_test_batch_end(batch, logs)
        self._wait_for_the_step_before(logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """As Keras; then wait."""
        super().on_predict_batch_end(batch, logs)
        self._wait_for_the_step_before(logs)

    def _wait_for_the_step_before(self, results: Any) -> None:
        if keras.backend.backend() == "jax":
            import jax

            jax.block_until_ready(self._results)
            self._results = results


class WeightAverages:
    """Decides when an optimizer's averages replace the weights; does nothing where it keeps none.

    Keras puts them in place at the end of every `fit`, and the next one would train on from there. It asks
    `use_ema` twice: while the training step is traced, when averages must be kept, and at the end of `fit`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        # Loss scaling (mixed_float16) wraps the optimizer that was asked for.
        self._optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self._kept = bool(getattr(self._optimizer, "use_ema", False))

    def suspend(self) -> None:
        """Until `resume`, leave the weights as they are."""
        if self._kept:
            self._optimizer.use_ema = False

    def resume(self) -> None:
        """Keep averages from here on."""
        if self._kept:
            self._optimizer.use_ema = True

    def apply(self) -> None:
        """Put the averages in place of the weights."""
        self.resume()
        self._optimizer.finalize_variable_values(self._model.trainable_weights)


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
