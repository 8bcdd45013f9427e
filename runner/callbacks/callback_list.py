"""The lists of callbacks that Keras is given.

`RunCallbacks` is one list for the whole run, though `fit` is called once per epoch; it also keeps averages of the
weights (`use_ema`) over these calls. `PacedCallbacks` keeps JAX from running ahead of the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from runner.callbacks.user_callbacks import UserCallback
from runner.data.labels import Head
from runner.models.score_columns import in_columns


class PacedCallbacks(keras.callbacks.CallbackList):  # type: ignore[misc]
    """Callbacks that allow two steps in flight at most: one that is being computed, and the next.

    JAX returns from a step before it is computed, and Keras reads its logs in other threads, so dozens of batches would
    wait in memory. Therefore, once a step has started, these callbacks wait for the step before. Other backends do not
    need that. On TensorFlow, Keras reads the logs of each step in the training thread. On PyTorch, a CPU computes at
    once, and the feed limits a GPU.
    """

    _results: Any = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call the callbacks, then wait for the step before."""
        super().on_train_batch_end(batch, logs)
        self._wait_for_the_step_before(logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call the callbacks, then wait for the step before."""
        super().on_test_batch_end(batch, logs)
        self._wait_for_the_step_before(logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call the callbacks, then wait for the step before."""
        super().on_predict_batch_end(batch, logs)
        self._wait_for_the_step_before(logs)

    def _wait_for_the_step_before(self, results: Any) -> None:
        if keras.backend.backend() == "jax":
            import jax

            jax.block_until_ready(self._results)
            self._results = results


class WeightAverages:
    """Decides when an optimizer's averages replace the weights; does nothing for optimizers without averages.

    Keras replaces the weights at the end of every `fit`, and the next `fit` would train from there. Keras reads
    `use_ema` twice: when it traces the training step, which must then keep averages, and at the end of `fit`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        # Loss scaling (mixed_float16) wraps the configured optimizer.
        self._optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self._kept = bool(getattr(self._optimizer, "use_ema", False))

    def suspend(self) -> None:
        """Keep Keras from replacing the weights, until `resume`."""
        if self._kept:
            self._optimizer.use_ema = False

    def resume(self) -> None:
        """Let the optimizer keep averages again."""
        if self._kept:
            self._optimizer.use_ema = True

    def apply(self) -> None:
        """Replace the weights by their averages."""
        self.resume()
        self._optimizer.finalize_variable_values(self._model.trainable_weights)


class RunCallbacks(PacedCallbacks):
    """One list for the run: passes on `on_train_begin` in the first `fit` only, and `on_train_end` only in `finish`.

    So callbacks that count epochs (early stopping, learning-rate reduction, the history) never start over, and
    averages replace the weights (`use_ema`) only at the end of the run.
    """

    callbacks: list[keras.callbacks.Callback]

    def __init__(
        self,
        callbacks: list[keras.callbacks.Callback],
        model: keras.Model,
        *,
        heads: Sequence[Head] = (),
        of_phase: Sequence[keras.callbacks.Callback] = (),
        **params: Any,
    ) -> None:
        super().__init__(callbacks, add_history=True, model=model, verbose=0, **params)
        self.heads = heads
        """What the labels are for: the names of their classes are those of columns."""
        self._users_last = _with_users_last(self.callbacks)
        self._of_phase = of_phase
        self._last_batch = 0
        self._is_stopped: bool | None = None
        self._begun = False
        self._logs: Any = None
        self.step_logs: Any = None
        """The logs of the last step of training."""
        self._newest_logs: Any = None
        self._ready_logs: Any = None
        self._averages = WeightAverages(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin the run; later calls do nothing."""
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    @property
    def phase_has_stopped(self) -> bool:
        """Whether a callback of the phase, and no other before it, has stopped the training."""
        return any(getattr(callback, "has_stopped", False) for callback in self._of_phase)

    def end_phase(self) -> None:
        """End and remove the callbacks of the phase, `of_phase`; all others live on."""
        for callback in self._of_phase:
            callback.on_train_end(self._logs)
            self.callbacks.remove(callback)

    def begin_phase(self, of_phase: Sequence[keras.callbacks.Callback], *, before: keras.callbacks.Callback) -> None:
        """Add the callbacks of a phase, `before` another one, once the model is compiled for it."""
        place = self.callbacks.index(before)
        self.callbacks[place:place] = self._of_phase = of_phase
        for callback in of_phase:
            callback.set_params(self.params)
            callback.set_model(self.model)
            callback.on_train_begin()
        self._users_last = _with_users_last(self.callbacks)
        self._averages = WeightAverages(self.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Keep averages while training."""
        self._averages.resume()
        self._is_stopped = self._newest_logs = self._ready_logs = None
        super().on_epoch_begin(epoch, logs)

    @property
    def stopped_after(self) -> int | None:
        """The batch of this `fit` after which a callback stopped the epoch; None if it went on to its end."""
        return self._last_batch if self._is_stopped else None

    def _end_training(self) -> None:
        """Note at the end of the epoch's training whether it was stopped: later it may be the run that stops."""
        if self._is_stopped is None:
            self._is_stopped = bool(self.model.stop_training)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Begin a step; with the user's callbacks last, as a state that is written now is that from before the step."""
        for callback in self._users_last:
            callback.on_train_batch_begin(batch, logs=logs or {})

    def on_test_begin(self, logs: Any = None) -> None:
        """Begin a validation; with the user's callbacks last, as before a step."""
        self._end_training()
        callbacks, self.callbacks = self.callbacks, self._users_last
        super().on_test_begin(logs)
        self.callbacks = callbacks

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Remember the logs of the step; those of the step before are computed once the callbacks were called."""
        before, self._newest_logs = self._newest_logs, logs
        self.step_logs, self._last_batch = logs, batch
        super().on_train_batch_end(batch, logs)
        self._ready_logs = before

    def running_values(self) -> dict[str, float]:
        """Loss and metrics of the epoch so far, after the step before the last one: to read them waits for no step."""
        logs = self._ready_logs
        return {name: float(value) for name, value in in_columns(logs, self.heads).items()} if logs else {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """End the epoch; then keep `fit` from replacing the weights by their averages, which it would do next."""
        self._end_training()
        super().on_epoch_end(epoch, in_columns(logs, self.heads))
        self._averages.suspend()

    def on_train_end(self, logs: Any = None) -> None:
        """Remember the logs: the end of one `fit` is not the end of the run."""
        self._logs = logs

    def flush(self) -> None:
        """Wait for the callbacks of all steps so far: on JAX, Keras runs some callbacks in other threads."""
        if self._async_train:
            self._flush_futures()

    def finish(self) -> None:
        """End the run, also one without an epoch. Callbacks that restore earlier weights overwrite the averages."""
        self.on_train_begin()
        self._averages.apply()
        super().on_train_end(self._logs)


def _with_users_last(callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    users = [callback for callback in callbacks if isinstance(callback, UserCallback)]
    return [*(callback for callback in callbacks if callback not in users), *users]
