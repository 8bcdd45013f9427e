"""From a configuration to data and loaders, and what loaders need.

`loader=auto`, carried out: what fits into memory, read by as many threads or processes as a look finds of use.

What run.json says of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import ArraySpec
from runner.data.dataset import Data, Dataset, NoData
from runner.data.labels import Head, heads_document
from runner.data.source import Source
from runner.errors import ConfigurationError, DataError
from runner.loaders import sequence
from runner.loaders.auto import Auto, Choice
from runner.loaders.cache import memory_cache_bytes, with_cache
from runner.loaders.custom import Custom
from runner.loaders.in_memory import InMemory
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad, SampleReader, allocate, naming_sample
from runner.loaders.settings import LoaderSettings
from runner.loaders.throughput import PATIENCE_SECONDS, Readers, measure_scaling
from runner.records.bad_samples import BadSamples, Notes, Tell
from runner.records.contents import Contents, with_contents
from runner.records.digests import data_fingerprint
from runner.settings import Settings
from runner.transforms.augment import augment
from runner.transforms.transform import Changes, Function, Transform, transformed_spec
from runner.user_code import resolve


def open_dataset(config: Settings, heads: tuple[Head, ...] | None = None) -> Dataset:
    """Open the data component, or the batches of `loader=custom`, ready to use.

    `heads` are those of a saved model. The dataset's `spec` is the shape and dtype of a sample in a batch; one sample
    is read to learn it if `data.transform` is set.

    Raises `DataError` if there is nothing to train on, a class or target is unknown to the model, or the samples
    cannot be transformed as `config` asks.
    """
    if isinstance(config.loader, Custom):
        return config.loader.open() if heads is None else config.loader.open_for(heads, config.split)
    data = _samples(config)
    dataset = data.open() if heads is None else data.open_for(heads)
    return replace(dataset, spec=_batch_spec(config, next(iter(dataset.splits.values()))))


def _batch_spec(config: Settings, source: Source) -> ArraySpec:
    """Shape and dtype of a sample of `source` in a batch."""
    reader = SampleReader(source, _augmentation(config, source, training=False), _another(config))
    name = _samples(config).transform
    if name is None:
        return reader.spec
    function, x = _function(config, name), allocate(reader.spec, 1)
    index = int(reader.fill(0, np.zeros(1, np.int64), x).indices[0])
    with naming_sample(source, index):
        return transformed_spec(name, function, x[0], config.seed)


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
        total += memory_cache_bytes(source.spec, len(source)) if loader.cache == "memory" else 0
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


AHEAD = 4
"""Batches of a look under way or read, per worker, at most: a look is over soon."""


def choose_loader(config: Settings, dataset: Dataset, splits: Sequence[str], available: int) -> Choice:
    """The loader settings for these splits: those of `config`, or what `loader=auto` makes of memory and a look.

    Batches do not depend on it. There is no look where nothing is left to choose, or where what was chosen needs more
    than the `available` bytes; at a look no more samples are in memory at a time than in the run.
    """
    asked, choice = config.loader, fitting_loader(config, dataset, splits, available)
    if not isinstance(asked, Auto) or needed_bytes(config, choice.settings, dataset, splits) > available:
        return choice
    settings, any_number, any_kind = choice.settings, asked.workers is None, asked.use_multiprocessing is None
    usual = f"{Readers(settings.workers, settings.use_multiprocessing)} for as many processors"
    if settings.workers < 2 or settings.use_multiprocessing or not (any_number or any_kind):
        return choice.because(usual) if any_number else choice
    source, held = dataset.splits[splits[0]], isinstance(settings, InMemory)
    changes = changes_to(config, dataset, source, training=splits[0] == "train")
    seen = measure_scaling(
        partial(_open, source, () if held else changes, settings, config.seed), settings.workers, processes=any_kind
    )
    if not seen.measurements:
        return choice.because(f"{usual}, not measured: {seen.skipped}") if any_number else choice
    # What is held is changed anew in every epoch: that is work for all, however fast it was read before.
    fewer = any_number and not (held and changes)
    best = seen.best(None if fewer else settings.workers)
    chosen = settings.model_copy(update={"workers": best.workers, "use_multiprocessing": best.processes})
    return replace(choice, settings=chosen).because(seen.text())


def _open(
    source: Source, changes: Changes, settings: LoaderSettings, seed: int, readers: Readers, batch_size: int
) -> Loader:
    """A loader that reads ahead as far as `settings` would, with other readers and perhaps smaller batches.

    Nothing is taken from a cache or put there.
    """
    size = min(batch_size, settings.batch_size)
    ahead = settings.max_queue_size * settings.batch_size // size
    looking = sequence.Sequence(
        batch_size=size,
        workers=readers.workers,
        use_multiprocessing=readers.processes,
        max_queue_size=min(ahead, AHEAD * readers.workers),
        timeout_seconds=min(settings.timeout_seconds, PATIENCE_SECONDS),
    )
    return looking.build(source, Plan(num_samples=len(source), batch_size=size, seed=seed), changes)


def data_section(dataset: Dataset) -> dict[str, Any]:
    """The splits, what a sample looks like, what it is told apart by, and a digest of all its files' states."""
    return {
        **_amount(dataset),
        "shape": dataset.spec.shape,
        "dtype": str(dataset.spec.dtype),
        "classes": {head.name or "label": head.class_names for head in dataset.heads},
        "heads": heads_document(dataset.heads),
        "fingerprint": data_fingerprint(dataset.stat()),
        "notes": dataset.notes,
    }


def _amount(dataset: Dataset) -> dict[str, Any]:
    """How much there is in each split: samples, or batches of a pass where these come ready-made."""
    if dataset.batches is not None:
        return {"steps": dataset.batches.steps}
    return {"samples": {split: len(source) for split, source in dataset.splits.items()}}
