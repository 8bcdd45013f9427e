"""From data to loaders: plan how to read it, open the loaders.

`plan_loading` chooses the settings for `loader=auto` (by memory and a short measurement) and estimates the memory
that loaders need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from runner.data.dataset import Dataset
from runner.data.source import Source
from runner.errors import DataError
from runner.loaders import kinds
from runner.loaders.auto import Auto, Choice
from runner.loaders.block_order import BlockTable
from runner.loaders.blocks import cut_blocks, refuse_small_windows
from runner.loaders.cache import memory_cache_bytes, with_cache
from runner.loaders.drawings import drawing_of, members_of, table_bytes
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.processes import refuse_unsendable
from runner.loaders.reader import OnBad
from runner.loaders.settings import LoaderSettings
from runner.loaders.throughput import PATIENCE_SECONDS, Readers, measure_scaling
from runner.machine import available_bytes, refuse_too_large
from runner.messages import plural
from runner.modes.open_data import blend_for, samples_of, transforms_of
from runner.records.bad_samples import BadSamples, Notes
from runner.records.contents import with_contents
from runner.settings import Settings
from runner.transforms.transform import Transforms


@dataclass(frozen=True)
class LoadingPlan:
    """How splits will be read: the chosen settings, the bytes of memory that takes, and the bytes that are free.

    Both are those of each of the `processes` of this host.
    """

    choice: Choice
    needed_bytes: int
    available_bytes: int
    processes: int = 1

    @property
    def settings(self) -> LoaderSettings:
        """The chosen settings."""
        return self.choice.settings

    def refuse_too_large(self) -> None:
        """Raise `DataError` where memory cannot hold what the loaders need."""
        kind, cached = self.settings.kind, self.settings.cache == "memory"
        by_blocks = self.settings.order == "blocks"
        sizes = self.needed_bytes, self.available_bytes
        refuse_too_large(*sizes, kind=kind, cached=cached, by_blocks=by_blocks, processes=self.processes)


def plan_loading(config: Settings, dataset: Dataset, splits: Sequence[str], processes: int = 1) -> LoadingPlan:
    """Choose the loader settings for these splits, and estimate the memory they need in each process of this host.

    A rank holds what a process alone does: over the epochs it reads all samples, and it predicts whole batches.
    """
    available = available_bytes(processes=processes)
    choice = choose_loader(config, dataset, splits, available)
    return LoadingPlan(choice, needed_bytes(config, choice.settings, dataset, splits), available, processes)


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
    if settings.order == "blocks":  # single samples in random places would be measured, not blocks
        return choice.with_reason(f"{default}, not measured with loader.order=blocks") if any_number else choice
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
        total += loader.window_bytes(source) + (table_bytes(loader, len(source)) if split == "train" else 0)
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

    Only with `training` does it augment, mix and shuffle samples, or drop the last, smaller batch.
    Raises `DataError` if the split has too few samples for a batch.
    """
    settings, plan = settings.normalised(), plan_of(config, settings, dataset, split, training=training)
    if dataset.batches is not None:
        return settings.build(dataset.splits[split], plan)
    source = with_contents(dataset.splits[split], notes.contents if notes else None, split)
    source = with_cache(source, settings, _array_settings(config, dataset))
    loader = settings.build(source, plan, transforms_of(config, dataset, split, source, training=training))
    loader.blend = blend_for(config, dataset) if training else None
    bad = notes.bad if notes else BadSamples(most=samples_of(config).max_bad)
    loader.handle_bad(_on_bad(config, settings, source, training=training), partial(bad.note, split))
    if settings.use_multiprocessing:
        refuse_unsendable(loader.reader)
    return loader


def streaming(settings: LoaderSettings) -> LoaderSettings:
    """Settings for one more pass with the same workers, which holds no samples in memory."""
    caching = {"cache": settings.cache, "cache_dir": settings.cache_dir} if settings.cache == "disk" else {}
    return kinds.Sequence(
        batch_size=settings.batch_size,
        workers=0 if "workers" in settings.unused else settings.workers,
        use_multiprocessing=settings.use_multiprocessing,
        max_queue_size=settings.max_queue_size,
        timeout_seconds=settings.timeout_seconds,
        order=settings.order,
        block_mb=settings.block_mb,
        window_mb=settings.window_mb,
    ).model_copy(update=caching)


def _array_settings(config: Settings, dataset: Dataset) -> Mapping[str, Any] | None:
    """The settings that determine a sample's arrays; codes in a mask follow the order of the classes, too."""
    settings, classes = samples_of(config).array_settings(), [head.class_names for head in dataset.heads if head.field]
    return {**settings, "classes": classes} if settings is not None and classes else settings


def plan_of(config: Settings, settings: LoaderSettings, dataset: Dataset, split: str, *, training: bool) -> Plan:
    """The plan of one split; `training` as in `open_loader`. Raises `DataError` if it has too few samples."""
    if dataset.batches is not None:
        return Plan(num_samples=dataset.batches.steps[split], batch_size=1, shuffle=False)
    source = dataset.splits[split]
    try:
        return Plan(
            num_samples=len(source),
            batch_size=settings.batch_size,
            seed=config.seed,
            shuffle=settings.shuffle and training,
            drop_remainder=settings.drop_remainder and training,
            blocks=_blocks(settings, dataset, split, training=training),
            drawing=drawing_of(settings, samples_of(config), source, config.seed) if training else None,
        )
    except ValueError as error:
        raise DataError(f"{split}: {error}") from error


def steps_per_pass(config: Settings, settings: LoaderSettings, dataset: Dataset) -> int:
    """Steps of training in one pass. With `loader.draw_by` the table is not read: it has as many draws as samples."""
    return plan_of(config, settings.model_copy(update={"draw_by": None}), dataset, "train", training=True).num_steps


def _blocks(settings: LoaderSettings, dataset: Dataset, split: str, *, training: bool) -> BlockTable | None:
    """The blocks of a split with order=blocks.

    Predicted masks and arrays are written while they are made, in the order of the table of predictions. So a split
    that is not trained on has no blocks if there are any.
    """
    writes_arrays = any(head.mode == "mask" or head.shape for head in dataset.heads)
    if settings.order != "blocks" or (writes_arrays and not training):
        return None
    table = cut_blocks(dataset.splits[split], block_mb=settings.block_mb, window_mb=settings.window_mb)
    refuse_small_windows(table, settings.batch_size)
    return table


def _on_bad(config: Settings, settings: LoaderSettings, source: Source, *, training: bool) -> OnBad:
    """How to treat samples that cannot be read; outside training they are never substituted.

    With balanced classes the substitute is of the same class, with shares of parts of the same part.
    """
    choice = samples_of(config).on_bad
    if training and choice == "substitute":
        return OnBad(choice, config.seed, members_of(settings, source))
    if training or choice == "raise":
        return OnBad(choice, config.seed)
    return OnBad("skip")
