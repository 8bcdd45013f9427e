"""`loader=directory_flow`: an endless iterator over class folders, like Keras's `flow_from_directory`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from runner.batch import Array, Batch, Indices, Targets
from runner.data.source import Source
from runner.errors import DataError
from runner.loaders.loader import NOTHING_READABLE
from runner.loaders.plan import Plan
from runner.loaders.sequence import SequenceLoader
from runner.loaders.settings import LoaderSettings
from runner.transforms.transform import Transforms

FlowBatch = tuple[Any, ...]

COLOR_MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}


class DirectoryFlowLoader(SequenceLoader):
    """An endless iterator of `(x, y)` over image files, in a new order each epoch.

    `next(flow)` continues after the last call, across epochs. `flow[i]` is batch `i` of the current epoch. `reset()`
    returns to the first batch of the first epoch.
    """

    def __init__(self, source: Source, plan: Plan, settings: LoaderSettings, transforms: Transforms = ()) -> None:
        super().__init__(source, plan, settings, transforms)
        self.settings = settings
        self.shuffle, self.seed = plan.shuffle, plan.seed
        self.target_size = self.spec.shape[:2]
        self.image_shape = self.spec.shape
        self.dtype, self.data_format = str(self.spec.dtype), "channels_last"
        self.reset()

    @property
    def batch_size(self) -> int:
        """Samples in a full batch."""
        return self.plan.batch_size

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
    def labels(self) -> Array | None:
        """The label of each sample: its class number, or a row for several classes or numbers; None without labels."""
        columns = self.source.labels.columns
        return columns[0] if columns and len(columns[0]) else None

    @property
    def sample_weight(self) -> Array | None:
        """The weight of each sample; None if all weigh the same."""
        return self.source.labels.weights

    @property
    def class_mode(self) -> str | None:
        """The form of `y`, as `data.class_mode`; `multi_output` for several outputs, None without labels."""
        heads = self.source.labels.heads
        return "multi_output" if len(heads) > 1 else heads[0].mode if heads else None

    @property
    def color_mode(self) -> str | None:
        """The colours of the images, by their channels; None for other data."""
        return COLOR_MODES.get(self.image_shape[-1]) if len(self.image_shape) == 3 else None

    @property
    def directory(self) -> str:
        """The folder that holds all files."""
        return os.path.commonpath([path.parent for path in self.source.paths()])

    @property
    def batch_index(self) -> int:
        """The batch of the current epoch that `next` gives."""
        return self.total_batches_seen % len(self)

    @property
    def index_array(self) -> Indices:
        """The samples of the current epoch in their order."""
        epoch = self.total_batches_seen // len(self)
        return np.concatenate([self.plan.batch(epoch, step) for step in range(len(self))])

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
        for batch in islice(self._batches, len(self)):
            self.total_batches_seen += 1
            if len(batch):  # a batch whose samples are all skipped is passed over
                return _pair(batch)
        raise DataError(NOTHING_READABLE)

    def next(self) -> FlowBatch:
        """The next batch, as `next(flow)`."""
        return next(self)

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
