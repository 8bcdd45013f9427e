"""`loader=directory_flow`: an endless iterator over class folders, like Keras's `flow_from_directory`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.batch import Batch, Indices, Targets
from runner.data.source import Source
from runner.loaders.plan import Plan
from runner.loaders.sequence import SequenceLoader
from runner.loaders.settings import LoaderSettings
from runner.transforms.transform import Transforms

FlowBatch = tuple[Any, ...]


class DirectoryFlowLoader(SequenceLoader):
    """An endless iterator of `(x, y)` over image files, in a new order each epoch.

    `next(flow)` continues after the last call, across epochs. `flow[i]` is batch `i` of the current epoch. `reset()`
    returns to the first batch of the first epoch.
    """

    def __init__(self, source: Source, plan: Plan, settings: LoaderSettings, transforms: Transforms = ()) -> None:
        super().__init__(source, plan, settings, transforms)
        self.batch_size, self.shuffle = plan.batch_size, plan.shuffle
        self.target_size = self.spec.shape[:2]
        self.image_shape = self.spec.shape
        self.reset()

    @property
    def samples(self) -> int:
        """Samples in the flow."""
        return self.num_samples

    n = samples

    @property
    def filenames(self) -> list[str]:
        """The files, relative to their folder, by sample."""
        return list(self.source.ids)

    @property
    def filepaths(self) -> list[str]:
        """The files with their folder, by sample."""
        return [str(path) for path in self.source.paths()]

    @property
    def classes(self) -> Indices | None:
        """The class number of each sample, shape `(samples,)`; None for data without classes."""
        return self.source.labels.columns[0] if self.class_names else None

    @property
    def class_indices(self) -> dict[str, int]:
        """The class numbers by class name."""
        return {name: code for code, name in enumerate(self.class_names or ())}

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names or ())

    def reset(self) -> None:
        """Return to the first batch of the first epoch."""
        self.total_batches_seen = 0
        self._batches: Iterator[Batch] | None = None

    def __iter__(self) -> Iterator[FlowBatch]:
        return self

    def __next__(self) -> FlowBatch:
        if self._batches is None:
            self._batches = self.stream(self.total_batches_seen)
        batch = next(self._batches)
        self.total_batches_seen += 1
        return _pair(batch)

    def close(self) -> None:
        """Stop the workers; `next` starts new ones and continues."""
        self._batches = None
        super().close()

    def __getitem__(self, index: int) -> FlowBatch:
        epoch = self.total_batches_seen // len(self)
        return _pair(self.batch(epoch, range(len(self))[index]))


def _pair(batch: Batch) -> FlowBatch:
    y: Targets = batch.y
    if y is None:
        return (batch.x,)
    return (batch.x, y) if batch.sample_weight is None else (batch.x, y, batch.sample_weight)
