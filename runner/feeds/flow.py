"""`loader=directory_flow` for Keras: a flow that `fit`, `evaluate` and `predict` take as it is."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import keras
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from runner.feeds.dataset import LoaderDataset
from runner.loaders.directory_flow import DirectoryFlowLoader


class KerasFlow(DirectoryFlowLoader, keras.utils.PyDataset, DataAdapter):  # type: ignore[misc]
    """A flow that is a `PyDataset` as well: `model.fit(flow, epochs=3)`.

    Keras gets the batches of a `LoaderDataset`, in the plan's order. Where Keras is in its epochs, and where `next` is,
    are two places.
    """

    def __init__(self, *args: Any) -> None:
        keras.utils.PyDataset.__init__(self)
        DirectoryFlowLoader.__init__(self, *args)

    @classmethod
    def of(cls, flow: DirectoryFlowLoader) -> Self:
        """The same flow, for Keras."""
        made = cls(flow.source, flow.plan, flow.settings, flow.reader.transforms)
        made.handle_bad(flow.reader.on_bad, flow.note)
        made.blend = flow.blend
        return made

    @cached_property
    def _data(self) -> LoaderDataset:
        return LoaderDataset(self)

    def __repr__(self) -> str:
        """The amount of data."""
        return f"<{self._amount()}>"

    def on_epoch_end(self) -> None:
        """Begin the next epoch, if all batches of this one were taken: Keras's own, and that of `flow[i]`."""
        self._data.on_epoch_end()
        super().on_epoch_end()

    def get_numpy_iterator(self) -> Any:
        """The batches of the current epoch."""
        return self._data.get_numpy_iterator()

    get_jax_iterator = get_numpy_iterator

    def get_tf_dataset(self) -> Any:
        """The batches of the current epoch, for TensorFlow."""
        return self._data.get_tf_dataset()

    def get_torch_dataloader(self) -> Any:
        """The batches of the current epoch, as tensors."""
        return self._data.get_torch_dataloader()

    @property
    def has_partial_batch(self) -> bool:
        """Whether the last batch is smaller than the others."""
        return self._data.has_partial_batch

    @property
    def partial_batch_size(self) -> int | None:
        """The size of the last batch if it is smaller; else None."""
        return self._data.partial_batch_size
