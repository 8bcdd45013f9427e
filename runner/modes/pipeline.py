"""From a configuration to data and loaders: open the data, plan how to read it, open the loaders.

`plan_loading` chooses the settings for `loader=auto` (by memory and a short measurement) and estimates the memory
that loaders need. `data_section` is the section `data` of run.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from runner.batch import ArraySpec
from runner.data.class_notes import with_class_notes
from runner.data.dataset import Data, Dataset, NoData
from runner.data.labels import Head, heads_document
from runner.data.source import Source
from runner.errors import ConfigurationError, DataError
from runner.loaders import kinds
from runner.loaders.auto import Auto, Choice
from runner.loaders.cache import memory_cache_bytes, with_cache
from runner.loaders.custom import Custom
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.processes import refuse_unsendable
from runner.loaders.reader import OnBad, SampleReader, allocate, naming_sample
from runner.loaders.settings import LoaderSettings
from runner.loaders.throughput import PATIENCE_SECONDS, Readers, measure_scaling
from runner.machine import available_bytes, refuse_too_large
from runner.messages import plural
from runner.records.bad_samples import BadSamples, Notes
from runner.records.contents import with_contents
from runner.records.digests import data_fingerprint
from runner.records.run_folder import RunFolder
from runner.settings import Settings
from runner.transforms.augment import augment
from runner.transforms.transform import Function, Transforms, UserTransform, informed, transformed_spec
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
    dataset = with_class_notes(data.open(), limited=data.limit is not None) if heads is None else data.open_for(heads)
    return replace(dataset, spec=_batch_spec(config, *next(iter(dataset.splits.items()))))


def open_repeated(config: Settings, earlier: RunFolder) -> Dataset:
    """Open the data of a run that resumes or repeats `earlier`, with the names and the order of its classes.

    Another version may have ordered the same classes in another way. Where the data or `data.classes` is another, the
    classes are those of the data; also in a rerun whose classes were read in another way, which a note says.

    Raises `DataError` as `open_dataset` does.
    """
    dataset, heads = open_dataset(config), earlier.heads
    if dataset.batches is not None or heads == dataset.heads or _forms(heads) != _forms(dataset.heads):
        return dataset
    before = earlier.document["data"].get("fingerprint")
    if getattr(config.data, "classes", None) is not None or data_fingerprint(dataset.stat()) != before:
        return dataset
    try:
        return replace(open_dataset(config, heads), notes=dataset.notes)
    except DataError as error:
        if config.resume is not None:
            raise
        return replace(dataset, notes=(*dataset.notes, f"the classes are not those of {earlier.path}: {error}"))


def _forms(heads: tuple[Head, ...]) -> list[Head]:
    """The heads without the names of their classes."""
    return [replace(head, class_names=()) for head in heads]


def _batch_spec(config: Settings, split: str, source: Source) -> ArraySpec:
    """Shape and dtype of a sample of `source`, the samples of `split`, in a batch."""
    augmentation = _augmentation(config, source, training=False)
    reader = SampleReader(source, augmentation, _any_sample(config), checks_values=False)
    name = _samples(config).transform
    if name is None:
        return reader.spec
    function, x = _function(config, name, split, training=split == "train"), allocate(reader.spec, 1)
    index = int(reader.fill(0, np.zeros(1, np.int64), x).indices[0])
    with naming_sample(source, index):
        spec = transformed_spec(name, function, x[0], config.seed)
    if spec != reader.spec and _samples(config).transform_on == "training":
        raise DataError(
            f"data.transform={name} must keep shape and dtype of the samples, {reader.spec}, with "
            f"data.transform_on=training, because other samples are not changed; got {spec}"
        )
    return spec


@dataclass(frozen=True)
class LoadingPlan:
    """How splits will be read: the chosen settings, the bytes of memory that takes, and the bytes that are free."""

    choice: Choice
    needed_bytes: int
    available_bytes: int

    @property
    def settings(self) -> LoaderSettings:
        """The chosen settings."""
        return self.choice.settings

    def refuse_too_large(self) -> None:
        """Raise `DataError` where memory cannot hold what the loaders need."""
        kind, cached = self.settings.kind, self.settings.cache == "memory"
        refuse_too_large(self.needed_bytes, self.available_bytes, kind=kind, cached=cached)


def plan_loading(config: Settings, dataset: Dataset, splits: Sequence[str]) -> LoadingPlan:
    """Choose the loader settings for these splits, and estimate the memory they need."""
    available = available_bytes()
    choice = choose_loader(config, dataset, splits, available)
    return LoadingPlan(choice, needed_bytes(config, choice.settings, dataset, splits), available)


def choose_loader(config: Settings, dataset: Dataset, splits: Sequence[str], available: int) -> Choice:
    """The loader settings for these splits: those of `config`; for `loader=auto`, chosen by memory and a measurement.

    Batches do not depend on the choice. Nothing is measured where nothing is left to choose, or where the choice needs
    more than the `available` bytes. The measurement holds no more samples in memory at once than the run will.
    """
    requested, choice = config.loader, fitting_loader(config, dataset, splits, available)
    if not isinstance(requested, Auto) or needed_bytes(config, choice.settings, dataset, splits) > available:
        return choice
    settings = choice.settings
    any_number, any_kind = requested.workers is None, requested.use_multiprocessing is None
    default = f"{Readers(settings.workers, settings.use_multiprocessing)}, one per processor"
    if settings.workers < 2 or settings.use_multiprocessing or not (any_number or any_kind):
        return choice.with_reason(default) if any_number else choice
    source, in_memory = dataset.splits[splits[0]], isinstance(settings, kinds.InMemory)
    transforms = transforms_of(config, dataset, splits[0], source, training=splits[0] == "train")
    open_probe = partial(_open_probe, source, () if in_memory else transforms, settings, config.seed)
    measured = measure_scaling(open_probe, settings.workers, processes=any_kind)
    if not measured.measurements:
        return choice.with_reason(f"{default}, not measured: {measured.skipped}") if any_number else choice
    # Samples in memory are transformed in every epoch: that keeps all workers busy, however fast reading was.
    fewer = any_number and not (in_memory and transforms)
    best = measured.best(None if fewer else settings.workers)
    chosen = settings.model_copy(update={"workers": best.workers, "use_multiprocessing": best.processes})
    return replace(choice, settings=chosen).with_reason(measured.text())


AHEAD = 4
"""The most batches per worker that a measurement reads ahead, so that it soon ends."""


def _open_probe(
    source: Source, transforms: Transforms, settings: LoaderSettings, seed: int, readers: Readers, batch_size: int
) -> Loader:
    """A loader for a measurement: it reads ahead as far as `settings` do, with `readers` and perhaps smaller batches.

    It neither reads nor writes a cache.
    """
    size = min(batch_size, settings.batch_size)
    ahead = settings.max_queue_size * settings.batch_size // size
    measured = kinds.Sequence(
        batch_size=size,
        workers=readers.workers,
        use_multiprocessing=readers.processes,
        max_queue_size=min(ahead, AHEAD * readers.workers),
        timeout_seconds=min(settings.timeout_seconds, PATIENCE_SECONDS),
    )
    return measured.build(source, Plan(num_samples=len(source), batch_size=size, seed=seed), transforms)


def fitting_loader(config: Settings, dataset: Dataset, splits: Sequence[str], available: int) -> Choice:
    """The loader settings for these splits: those of `config`; for `loader=auto`, what fits `available` bytes."""
    requested = config.loader
    if not isinstance(requested, Auto):
        return Choice(requested)
    choice = requested.choose(needed_bytes(config, requested.candidate(), dataset, splits), available)
    settings = choice.settings
    while settings.max_queue_size > 1 and needed_bytes(config, settings, dataset, splits) > available:
        settings = settings.model_copy(update={"max_queue_size": settings.max_queue_size // 2})
    if settings.max_queue_size == choice.settings.max_queue_size:
        return choice
    return replace(choice, settings=settings).with_reason(
        f"{plural(settings.max_queue_size, 'batch', 'batches')} ahead, to fit"
    )


def needed_bytes(config: Settings, settings: LoaderSettings, dataset: Dataset, splits: Sequence[str]) -> int:
    """Bytes that the loaders of these splits, and their caches in memory, hold together."""
    loader, total = settings.normalised(), 0
    if dataset.batches is not None:
        return len(splits) * loader.num_bytes(dataset.spec, dataset.batches.size)
    for split in splits:
        source = dataset.splits[split]
        transforms = transforms_of(config, dataset, split, source, training=split == "train")
        total += memory_cache_bytes(source.spec, len(source)) if loader.cache == "memory" else 0
        total += loader.num_bytes(dataset.spec, len(source), source.spec if transforms else None)
    return total


def open_loader(
    config: Settings,
    settings: LoaderSettings,
    dataset: Dataset,
    split: str,
    *,
    training: bool = False,
    notes: Notes | None = None,
) -> Loader:
    """The loader of one split. It adds the digests of the files it reads, and bad samples, to `notes`.

    Only with `training` does it augment and shuffle samples, or drop the last, smaller batch.
    Raises `DataError` if the split has too few samples for a batch.
    """
    settings, plan = settings.normalised(), plan_of(config, settings, dataset, split, training=training)
    if dataset.batches is not None:
        return settings.build(dataset.splits[split], plan)
    source = with_contents(dataset.splits[split], notes.contents if notes else None, split)
    source = with_cache(source, settings, _samples(config).array_settings())
    loader = settings.build(source, plan, transforms_of(config, dataset, split, source, training=training))
    bad = notes.bad if notes else BadSamples(most=_samples(config).max_bad)
    loader.handle_bad(_on_bad(config, training=training), partial(bad.note, split))
    if settings.use_multiprocessing:
        refuse_unsendable(loader.reader)
    return loader


def plan_of(config: Settings, settings: LoaderSettings, dataset: Dataset, split: str, *, training: bool) -> Plan:
    """The plan of one split; `training` as in `open_loader`. Raises `DataError` if it has too few samples."""
    if dataset.batches is not None:
        return Plan(num_samples=dataset.batches.steps[split], batch_size=1, shuffle=False)
    try:
        return Plan(
            num_samples=len(dataset.splits[split]),
            batch_size=settings.batch_size,
            seed=config.seed,
            shuffle=settings.shuffle and training,
            drop_remainder=settings.drop_remainder and training,
        )
    except ValueError as error:
        raise DataError(f"{split}: {error}") from error


def _samples(config: Settings) -> Data:
    """The data component, where the runner reads samples."""
    if isinstance(config.data, NoData):
        raise ConfigurationError(f"data=none needs loader=custom, got loader={config.loader.kind}")
    return config.data


def transforms_of(config: Settings, dataset: Dataset, split: str, source: Source, *, training: bool) -> Transforms:
    """The transforms of a sample of `split` between its source and a batch: augmentation, then `data.transform`."""
    data, transforms = _samples(config), _augmentation(config, source, training=training)
    if data.transform is None or (data.transform_on == "training" and not training):
        return transforms
    function = _function(config, data.transform, split, training=training)
    return (*transforms, UserTransform(data.transform, function, dataset.spec, config.seed, training))


def _on_bad(config: Settings, *, training: bool) -> OnBad:
    """How to treat samples that cannot be read; outside training they are never substituted."""
    choice = _samples(config).on_bad
    if training or choice == "raise":
        return OnBad(choice, config.seed)
    return OnBad("skip")


def _any_sample(config: Settings) -> OnBad:
    """Any other sample takes the place of a bad one, unless a bad one ends the run."""
    return OnBad("raise" if _samples(config).on_bad == "raise" else "substitute", config.seed)


def _augmentation(config: Settings, source: Source, *, training: bool) -> Transforms:
    return augment(_samples(config).augment, source.spec, config.seed, training=training)


def _function(config: Settings, name: str, split: str, *, training: bool) -> Function:
    function = resolve(name, config.extensions)
    if not callable(function):
        raise ConfigurationError(f"data.transform must be a function, got {name}, which is {function!r}")
    return informed(function, split=split, training=training)


def data_section(dataset: Dataset) -> dict[str, Any]:
    """The section `data` of run.json: splits, shape and dtype of a sample, classes, a digest of all files' states."""
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
    """The number of samples in each split; of ready-made batches, the number of batches in a pass."""
    if dataset.batches is not None:
        return {"steps": dataset.batches.steps}
    return {"samples": {split: len(source) for split, source in dataset.splits.items()}}
