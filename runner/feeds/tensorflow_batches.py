"""Batches as TensorFlow's trainer takes them: a step is traced once, and an early end is no error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from runner.feeds.delivery import KerasBatch


class AnyNumberOfRows(np.ndarray):
    """An array that a `tf.function` takes as one of any length, so that an epoch's smaller last batch is no news.

    Keras has `fit`, `evaluate` and `predict` trace a step for the shapes of its first batch. A batch of another size
    makes TensorFlow trace all of it again, in the middle of the run: seconds for a large model.
    """

    def __tf_tracing_type__(self, context: Any) -> Any:
        """Shape `(None, …)`: TensorFlow's own protocol (`tf.types.experimental.SupportsTracingProtocol`)."""
        import tensorflow as tf

        return tf.TensorSpec((None, *self.shape[1:]), self.dtype)


@dataclass(frozen=True)
class TensorFlowBatches:
    """The batches of one pass; the first builds what `model` lacks, where there is one to be trained.

    Optimizer and metrics otherwise make their variables within the first step, and TensorFlow traces a step that made
    variables a second time. A model with a training step of its own is left alone: it alone knows what it builds.

    They end with TensorFlow's own error: over a plain end before its time the trainer stumbles.
    """

    batches: Iterable[KerasBatch]
    model: keras.Model | None = None

    def __iter__(self) -> Iterator[KerasBatch]:
        import tensorflow as tf

        unbuilt = self.model if self.model is not None and _has_keras_step(self.model) else None
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
