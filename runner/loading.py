"""From a configuration to data and loaders, and what loaders need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.changes.augment import augment
from runner.changes.change import Changes
from runner.changes.transform import Function, Transform, transformed_spec
from runner.errors import ConfigurationError, DataError
from runner.extensions import resolve
from runner.labels import Head
from runner.loaders.auto import Auto, Choice
from runner.loaders.cache import with_cache
from runner.loaders.cache_memory import memory_bytes
from runner.loaders.custom import Custom
from runner.loaders.hashed import with_contents
from runner.loaders.loader import Loader
from runner.loaders.reader import Reader, naming
from runner.loaders.settings import LoaderSettings
from runner.plan import Plan
from runner.records.contents import Contents
from runner.settings import Settings
from runner.sources.data import Data, Dataset
from runner.sources.none import NoData
from runner.sources.source import Source


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
    reader = Reader(first, _augmentation(config, first, training=False))
    name = _samples(config).transform
    if name is None:
        return replace(dataset, spec=reader.spec)
    function, array = _function(config, name), reader.read(0, 0)
    with naming(first, 0):
        spec = transformed_spec(name, function, array, config.seed)
    return replace(dataset, spec=spec)


def fitting_loader(config: Settings, dataset: Dataset, splits: Sequence[str], available: int) -> Choice:
    """The loader settings for these splits: those of `config`, or for `loader=auto` what `available` bytes hold."""
    asked = config.loader
    if not isinstance(asked, Auto):
        return Choice(asked)
    return asked.choose(needed_bytes(config, asked.candidate(), dataset, splits), available)


def open_loader(
    config: Settings,
    settings: LoaderSettings,
    dataset: Dataset,
    split: str,
    *,
    training: bool = False,
    contents: Contents | None = None,
) -> Loader:
    """The loader of one split, which notes in `contents` what was in the files it read.

    Only for training are samples augmented and shuffled, or the last, smaller batch left out.
    Raises `DataError` if the split has too few samples for a batch.
    """
    settings = settings.normalised()
    if dataset.batches is not None:
        plan = Plan(num_samples=dataset.batches.steps[split], batch_size=1, shuffle=False)
        return settings.build(dataset.splits[split], plan)
    source = with_contents(dataset.splits[split], contents, split)
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
    return settings.build(source, plan, changes_to(config, dataset, source, training=training))


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


def _augmentation(config: Settings, source: Source, *, training: bool) -> Changes:
    return augment(_samples(config).augment, source.spec, config.seed, training=training)


def _function(config: Settings, name: str) -> Function:
    function: Function = resolve(name, config.extensions)
    if not callable(function):
        raise ConfigurationError(f"data.transform must be a function, got {name}, which is {function!r}")
    return function
