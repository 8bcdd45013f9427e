"""`loader=directory_flow`: an endless iterator over class folders, like Keras's `flow_from_directory`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec, Batch, Indices, Targets
from runner.data.source import Source
from runner.data.views import View
from runner.errors import DataError
from runner.fields import named_specs
from runner.loaders.loader import NOTHING_READABLE
from runner.loaders.plan import Plan
from runner.loaders.sequence import SequenceLoader
from runner.loaders.settings import LoaderSettings
from runner.messages import plural
from runner.transforms.transform import Transforms

FlowBatch = tuple[Any, ...]

COLOR_MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}

KEYS: Mapping[str, str] = {
    "shuffle": "loader.shuffle",
    "batch_size": "loader.batch_size",
    "seed": "seed",
    "class_mode": "data.class_mode",
    "classes": "data.classes",
    "directory": "data.root",
    **{name: f"data.{name}" for name in ("target_size", "color_mode", "interpolation", "keep_aspect_ratio")},
}
"""Attributes that say how batches are made, and the keys that decide it before the flow is made."""

PLACES = ("batch_index", "index_array", "total_batches_seen")
"""Attributes that say where the flow is."""

INSTEAD: Mapping[str, str] = {
    "image_data_generator": "images are changed as data.augment and data.transform say",
    "set_processing_attrs": "keys of data, given to runner.compose, say how images are read",
    "index_generator": "flow.index_array has the samples of the epoch in their order",
    "lock": "call next(flow) in one thread; workers read ahead of it",
    "allowed_class_modes": "python -m runner --help data=directory lists them",
    "white_list_formats": "flow.filenames are the files that were found",
    **dict.fromkeys(("subset", "split"), "the split is the one given to runner.build_loader(config, split)"),
    **dict.fromkeys(
        ("save_to_dir", "save_prefix", "save_format"),
        "no batch is written; write its images, next(flow)[0], with keras.utils.save_img",
    ),
    **dict.fromkeys(("df", "dataframe"), "data=dataframe reads the table of data.manifest"),
}
"""Attributes of Keras's iterators that a flow does not have, and what there is instead."""


class DirectoryFlowLoader(SequenceLoader):
    """An endless iterator of `(x, y)` over image files, in a new order each epoch.

    `next(flow)` continues after the last call, across epochs. `flow[i]` is batch `i` of the current epoch; after the
    last one, `on_epoch_end()` begins the next epoch. `reset()` returns to the first batch of the first epoch.
    """

    def __init__(self, source: Source, plan: Plan, settings: LoaderSettings, transforms: Transforms = ()) -> None:
        super().__init__(source, plan, settings, transforms)
        self.settings = settings
        self.reset()

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute of the loader's own; the others change nothing in a flow that is made."""
        if name in PLACES:
            raise AttributeError(f"{name} of a flow cannot be set; flow.reset() returns to the first batch")
        if name in KEYS:
            raise AttributeError(f"{name} of a flow cannot be set; give {KEYS[name]}=… to runner.compose")
        if name in INSTEAD:
            raise AttributeError(f"{name} of a flow cannot be set: {INSTEAD[name]}")
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        """Say what there is instead of an attribute of Keras's iterators."""
        if name in INSTEAD:
            raise AttributeError(f"a flow has no {name}: {INSTEAD[name]}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        """The amount of data, and why Keras, whose message has this text, does not know the flow."""
        return f"<{self._amount()}; for model.fit, import keras before runner.build_loader>"

    def _amount(self) -> str:
        return f"a flow of {plural(self.num_samples, 'sample')} in batches of {self.batch_size:,}"

    @property
    def shuffle(self) -> bool:
        """Whether each epoch has a new order."""
        return self.plan.shuffle

    @property
    def seed(self) -> int:
        """The seed of the order."""
        return self.plan.seed

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of an image in a batch."""
        return self._image.shape

    @property
    def target_size(self) -> tuple[int, ...]:
        """Height and width of the images."""
        return self._image.shape[:2]

    @property
    def dtype(self) -> str:
        """The dtype of an image in a batch."""
        return str(self._image.dtype)

    @property
    def _image(self) -> ArraySpec:
        """The spec of a sample; of several arrays, that of the first with more than one axis."""
        specs = [spec for _, spec in named_specs(self.spec)]
        return next((spec for spec in specs if len(spec.shape) > 1), specs[0])

    @property
    def data_format(self) -> str:
        """Where the channels are: last."""
        return "channels_last"

    @property
    def interpolation(self) -> str | None:
        """How images are resized, as `data.interpolation`; None for other data."""
        return getattr(self._image_settings, "interpolation", None)

    @property
    def keep_aspect_ratio(self) -> bool:
        """Whether images are cropped in place of distorted, as `data.keep_aspect_ratio`."""
        return getattr(self._image_settings, "keep_aspect_ratio", False)

    @property
    def _image_settings(self) -> object:
        """The settings of the decoder that the source, or the one that it is a view of, has."""
        source: Any = self.source
        while isinstance(source, View):
            source, _ = source.locate(0)
        return getattr(getattr(source, "decoder", None), "settings", None)

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
        """The files with their folder, by sample; of an image with a mask, the image."""
        return [self.source.sample_name(index) for index in range(len(self.source))] if self.source.has_bytes else []

    @property
    def classes(self) -> Indices | None:
        """The class number of each sample, shape `(samples,)`; None for data without classes."""
        heads = self.source.labels.heads
        return self.source.labels.columns[0] if heads and heads[0].classifies else None

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
        places = chain.from_iterable(map(self.source.places, range(len(self.source))))
        return os.path.commonpath({os.path.dirname(place.file) for place in places})  # noqa: PTH120

    @property
    def total_batches_seen(self) -> int:
        """The number of batches that `next` gave, in all epochs."""
        return self._seen

    @property
    def batch_index(self) -> int:
        """The batch of the current epoch that `next` gives."""
        return self._seen % len(self)

    @property
    def index_array(self) -> Indices:
        """The samples of the current epoch in their order."""
        epoch = self._seen // len(self)
        return np.concatenate([self.plan.batch(epoch, step).indices for step in range(len(self))])

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
        self._seen, self._is_last_taken = 0, False
        self._batches: Iterator[Batch] | None = None

    def on_epoch_end(self) -> None:
        """Begin the next epoch, if the last batch of this one was taken by its index."""
        if self._is_last_taken:
            epoch = self._seen // len(self)
            self.reset()
            self._seen = (epoch + 1) * len(self)

    def __iter__(self) -> Iterator[FlowBatch]:
        return self

    def __next__(self) -> FlowBatch:
        if self._batches is None:
            self._batches = self.stream(self._seen)
        for batch in islice(self._batches, len(self)):
            self._seen += 1
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
        epoch, step = self._seen // len(self), range(len(self))[index]
        self._is_last_taken = step == len(self) - 1
        return _pair(self.batch(epoch, step))


def _pair(batch: Batch) -> FlowBatch:
    y: Targets = batch.y
    if y is None:
        return (batch.x,)
    return (batch.x, y) if batch.sample_weight is None else (batch.x, y, batch.sample_weight)
