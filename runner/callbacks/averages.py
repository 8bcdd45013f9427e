"""Averages of the weights (`use_ema`) over many calls of `fit`."""

from __future__ import annotations

import keras


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
