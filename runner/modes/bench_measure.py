"""One loader, or reading without one, measured in a process of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runner.data.dataset import Dataset
from runner.data.source import Source, has_files
from runner.errors import RunnerError
from runner.loaders.auto import num_processors
from runner.loaders.settings import LoaderSettings
from runner.loaders.throughput import Pace, time_files, time_loader, time_samples
from runner.machine import format_bytes
from runner.modes.contenders import holds_all, override_line
from runner.modes.own_process import Start, in_own_process
from runner.modes.pipeline import as_delivered, needed_bytes, open_dataset, open_loader
from runner.settings import Settings

PATIENCE, AT_LEAST = 20, 60.0
"""A loader may take so many times `bench.seconds` in all, and so many seconds more to list the data and start."""


@dataclass(frozen=True)
class Row:
    """What came of one loader: its pace and memory, or why it has none."""

    line: str
    pace: Pace | None = None
    memory_bytes: int = 0
    reason: str = ""


def measure_bounds(config: Settings, source: Source) -> Iterator[Row]:
    """What no loader that reads can beat: files and samples read by one thread, times the processors."""
    count = num_processors()
    whats = {"files": "files read, not decoded"} if has_files(source) else {}
    for what, name in {**whats, "samples": "samples read and decoded"}.items():
        row = _measured(f"{name}: 1 thread × {count}", _time_bound, config, what)
        one = row.pace
        pace = one and replace(one, num_samples=one.num_samples * count, cpu_seconds=one.cpu_seconds * count)
        yield replace(row, pace=pace)


def measure_loader(config: Settings, settings: LoaderSettings, dataset: Dataset, available: int, share: float) -> Row:
    """What came of one loader; of one that holds all samples, memory and first batch are those of all of them."""
    line = override_line(settings)
    if reason := _no_room(config, settings, dataset, available):
        return Row(line, reason=reason)
    with _temporary_cache(settings) as apart:
        row = _measured(line, _time_loader, config, apart)
    pace = row.pace
    if pace is None or not holds_all(settings):
        return row
    source = dataset.splits["train"]
    if settings.kind == "in_memory":
        pace = replace(pace, first_batch_seconds=pace.first_batch_seconds * share)
    missing = round(len(source) * (1 - 1 / share)) * source.spec.num_bytes
    return replace(row, pace=pace, memory_bytes=row.memory_bytes + missing)


def _no_room(config: Settings, settings: LoaderSettings, dataset: Dataset, available: int) -> str:
    """Why a loader cannot be measured here: what it needs of memory or disk, and what is free; else nothing."""
    needed = needed_bytes(config, settings, dataset, tuple(dataset.splits))
    if needed > available:
        return f"it needs {format_bytes(needed)} of memory, and {format_bytes(available)} are free"
    if settings.cache != "disk":
        return ""
    wanted = sum(len(source) * source.spec.num_bytes for source in dataset.splits.values())
    free = shutil.disk_usage(_disk_of(settings)).free
    if wanted <= free // 2:
        return ""
    return f"it needs {format_bytes(wanted)} of disk, and may take half of the {format_bytes(free)} that are free"


def _measured(line: str, function: Callable[..., Pace], config: Settings, what: object) -> Row:
    """What came of a function in a process of its own; what goes wrong there is the reason for an empty row."""
    limit_seconds = AT_LEAST + PATIENCE * config.bench.seconds
    try:
        pace, memory = in_own_process(function, config, what, limit_seconds=limit_seconds)
    except RunnerError as error:
        return Row(line, reason=" ".join(str(error).split()))
    return Row(line, pace, memory)


@contextmanager
def _temporary_cache(settings: LoaderSettings) -> Iterator[LoaderSettings]:
    """A cache on disk lies on the disk it would lie on, and is removed."""
    if settings.cache != "disk":
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=_disk_of(settings)) as folder:
        yield settings.model_copy(update={"cache_dir": Path(folder)})


def _disk_of(settings: LoaderSettings) -> Path:
    """The innermost folder around the cache that exists already."""
    return next(folder for folder in settings.cache_dir.absolute().parents if folder.is_dir())


def _time_loader(start: Start, config: Settings, settings: LoaderSettings) -> Pace:
    """In a process of its own: the pace of one loader."""
    dataset = _opened(config)
    start()
    with open_loader(config, settings, dataset, "train", training=True) as loader:
        return time_loader(loader, config.bench.seconds)


def _time_bound(start: Start, config: Settings, what: str) -> Pace:
    """In a process of its own: the pace of reading without a loader."""
    source = _opened(config).splits["train"]
    start()
    if what == "files" and has_files(source):
        return time_files(source, config.bench.seconds)
    return time_samples(source, config.bench.seconds)


def _opened(config: Settings) -> Dataset:
    """The data, with one sample read: what decodes it is imported before memory and time count."""
    dataset = as_delivered(config, open_dataset(config))
    dataset.splits["train"].read(0)
    return dataset
