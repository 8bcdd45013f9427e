"""`loader=auto`, carried out: what fits into memory, read by as many threads or processes as a look finds of use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from runner.data.dataset import Dataset
from runner.data.source import Source
from runner.loaders import sequence
from runner.loaders.auto import Auto, Choice
from runner.loaders.in_memory import InMemory
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.settings import LoaderSettings
from runner.loaders.throughput import PATIENCE_SECONDS, Readers, probe
from runner.modes.pipeline import changes_to, fitting_loader, needed_bytes
from runner.settings import Settings
from runner.transforms.transform import Changes

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
    seen = probe(
        partial(_open, source, () if held else changes, settings, config.seed), settings.workers, processes=any_kind
    )
    if not seen.looks:
        return choice.because(f"{usual}, not measured: {seen.skipped}") if any_number else choice
    # What is held is changed anew in every epoch: that is work for all, however fast it was read before.
    fewer = any_number and not (held and changes)
    best = seen.best(None if fewer else settings.workers)
    chosen = settings.model_copy(update={"workers": best.workers, "use_multiprocessing": best.processes})
    return replace(choice, settings=chosen).because(seen.told())


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
