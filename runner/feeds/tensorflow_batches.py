"""Batches for TensorFlow's trainer: it traces a step once, and accepts an early end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from runner.feeds.delivery import KerasBatch


class AnyNumberOfRows(np.ndarray):
    """An array that a `tf.function` accepts with any number of rows.

    In `fit`, `evaluate` and `predict`, TensorFlow traces a step for the shapes of its first batch. A smaller last batch
    would make it trace the step again in the middle of the run, which takes seconds for a large model.
    """

    def __tf_tracing_type__(self, context: Any) -> Any:
        """Shape `(None, …)`; TensorFlow's protocol `tf.types.experimental.SupportsTracingProtocol`."""
        import tensorflow as tf

        return tf.TensorSpec((None, *self.shape[1:]), self.dtype)


@dataclass(frozen=True)
class TensorFlowBatches:
    """The batches of one pass; the first one builds `model`, if it is to be trained.

    Otherwise optimizer and metrics create their variables in the first step, and TensorFlow traces such a step a second
    time. A model with its own training step is not built: only its author knows what it needs. Nor is one whose steps
    TensorFlow runs line by line: they are not traced.

    The pass ends with TensorFlow's own error, because the trainer fails at a plain end before the last step.
    """

    batches: Iterable[KerasBatch]
    model: keras.Model | None = None

    def __iter__(self) -> Iterator[KerasBatch]:
        import tensorflow as tf

        is_traced = self.model is not None and _has_keras_step(self.model) and not tf.config.functions_run_eagerly()
        unbuilt = self.model if is_traced else None
        for batch in self.batches:
            if unbuilt is not None:
                unbuilt._symbolic_build(data_batch=batch)  # what Keras itself does on JAX and PyTorch
                unbuilt = None
            yield keras.tree.map_structure(_any_number_of_rows, batch)
        raise tf.errors.OutOfRangeError(None, None, "the epoch has no more batches")


def _any_number_of_rows(array: Any) -> Any:
    return array.view(AnyNumberOfRows) if type(array) is np.ndarray and array.ndim else array


def _has_keras_step(model: keras.Model) -> bool:
    return getattr(model.train_step, "__func__", None) is keras.Model.train_step
