"""Callbacks that keep JAX from running ahead of the device."""

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
