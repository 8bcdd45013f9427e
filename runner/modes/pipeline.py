"""From a configuration to data and loaders, and what loaders need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from runner.data.dataset import Data, Dataset, NoData
from runner.data.labels import Head
from runner.data.source import Source
from runner.errors import ConfigurationError, DataError
from runner.loaders.auto import Auto, Choice
from runner.loaders.cache import memory_bytes, with_cache
from runner.loaders.custom import Custom
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad, Reader, allocate, naming
from runner.loaders.settings import LoaderSettings
from runner.records.bad_samples import BadSamples, Notes, Tell
from runner.records.contents import Contents, with_contents
from runner.settings import Settings
from runner.transforms.augment import augment
from runner.transforms.transform import Changes, Function, Transform, transformed_spec
from runner.user_code import resolve


def open_dataset(config: Settings, heads: tuple[Head, ...] | None = None) -> Dataset:
    """What the data component opens, or the batches of loader=custom; `heads` are those of a model that is used.

    Raises `DataError` where there is nothing to train on, or nothing that the model knows.
    """
    if isinstance(config.loader, Custom):
        return config.loader.open() if heads is None else config.loader.open_for(heads, config.split)
    data = _samples(config)
    return data.open() if heads is None else data.open_for(heads)


def as_delivered(config: Settings, dataset: Dataset) -> Dataset:
    """`dataset` with the shape and dtype its samples have in a batch; reads one where `data.transform` changes them.

    Raises `DataError` where the samples cannot be changed as `config` asks.
    """
    if dataset.batches is not None:
        return dataset
    first = next(iter(dataset.splits.values()))
    reader = Reader(first, _augmentation(config, first, training=False), _another(config))
    name = _samples(config).transform
    if name is None:
        return replace(dataset, spec=reader.spec)
    function, x = _function(config, name), allocate(reader.spec, 1)
    index = int(reader.fill(0, np.zeros(1, np.int64), x).indices[0])
    with naming(first, index):
        spec = transformed_spec(name, function, x[0], config.seed)
    return replace(dataset, spec=spec)


def fitting_loader(config: Settings, dataset: Dataset, splits: Sequence[str], available: int) -> Choice:
    """The loader settings for these splits: those of `config`, or for `loader=auto` what `available` bytes hold."""
    asked = config.loader
    if not isinstance(asked, Auto):
        return Choice(asked)
    return asked.choose(needed_bytes(config, asked.candidate(), dataset, splits), available)


def open_notes(config: Settings, dataset: Dataset, folder: Path, tell: Tell) -> Notes:
    """Where a run in `folder` notes what it reads; bad samples are told to `tell`."""
    most = config.data.max_bad if isinstance(config.data, Data) else None
    return Notes(Contents(folder, dataset.files), BadSamples(folder, most, tell))


def open_loader(
    config: Settings,
    settings: LoaderSettings,
    dataset: Dataset,
    split: str,
    *,
    training: bool = False,
    notes: Notes | None = None,
) -> Loader:
    """The loader of one split, which adds to `notes` what was in the files it read, and what could not be read.

    Only for training are samples augmented and shuffled, or the last, smaller batch left out.
    Raises `DataError` if the split has too few samples for a batch.
    """
    settings = settings.normalised()
    if dataset.batches is not None:
        plan = Plan(num_samples=dataset.batches.steps[split], batch_size=1, shuffle=False)
        return settings.build(dataset.splits[split], plan)
    source = with_contents(dataset.splits[split], notes.contents if notes else None, split)
    source = with_cache(source, settings, _samples(config).array_settings())
    try:
        plan = Plan(
            num_samples=len(source),
            batch_size=settings.batch_size,
            seed=config.seed,
            shuffle=settings.shuffle and training,
            drop_remainder=settings.drop_remainder and training,
        )
    except ValueError as error:
        raise DataError(f"{split}: {error}") from error
    loader = settings.build(source, plan, changes_to(config, dataset, source, training=training))
    bad = notes.bad if notes else BadSamples(most=_samples(config).max_bad)
    loader.pass_over(_on_bad(config, training=training), partial(bad.note, split))
    return loader


def needed_bytes(config: Settings, settings: LoaderSettings, dataset: Dataset, splits: Sequence[str]) -> int:
    """Bytes the loaders of these splits hold together, and their caches in memory."""
    loader, total = settings.normalised(), 0
    if dataset.batches is not None:
        return len(splits) * loader.num_bytes(dataset.spec, dataset.batches.size)
    for split in splits:
        source = dataset.splits[split]
        changed = changes_to(config, dataset, source, training=split == "train")
        total += memory_bytes(source.spec, len(source)) if loader.cache == "memory" else 0
        total += loader.num_bytes(dataset.spec, len(source), source.spec if changed else None)
    return total


def _samples(config: Settings) -> Data:
    """The data component, where the runner reads samples."""
    if isinstance(config.data, NoData):
        raise ConfigurationError(f"data=none must go with loader=custom, got loader={config.loader.kind}")
    return config.data


def changes_to(config: Settings, dataset: Dataset, source: Source, *, training: bool) -> Changes:
    """What happens to each sample on its way into a batch."""
    changes, name = _augmentation(config, source, training=training), _samples(config).transform
    if name is None:
        return changes
    return (*changes, Transform(name, _function(config, name), dataset.spec, config.seed, training))


def _on_bad(config: Settings, *, training: bool) -> OnBad:
    """What is done about samples that cannot be read; outside training none stands for another."""
    choice = _samples(config).on_bad
    if training or choice == "raise":
        return OnBad(choice, config.seed, may_be_empty=not training)
    return OnBad("skip")


def _another(config: Settings) -> OnBad:
    """Any sample will do, unless a bad one ends the run."""
    return OnBad("raise" if _samples(config).on_bad == "raise" else "substitute", config.seed)


def _augmentation(config: Settings, source: Source, *, training: bool) -> Changes:
    return augment(_samples(config).augment, source.spec, config.seed, training=training)


def _function(config: Settings, name: str) -> Function:
    function: Function = resolve(name, config.extensions)
    if not callable(function):
        raise ConfigurationError(f"data.transform must be a function, got {name}, which is {function!r}")
    return function
