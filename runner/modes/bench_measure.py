"""One loader, or reading without one, measured in a process of its own.

The loaders worth comparing on a machine, and how each is typed.

A function in a fresh process of its own, whose memory is watched while it works.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from runner.data.dataset import Dataset
from runner.data.source import Source
from runner.errors import RunnerError, WorkerError
from runner.loaders.auto import num_processors
from runner.loaders.directory_flow import DirectoryFlow
from runner.loaders.generator import Generator
from runner.loaders.in_memory import InMemory
from runner.loaders.sequence import Sequence
from runner.loaders.settings import LoaderKeys, LoaderSettings
from runner.loaders.throughput import Throughput, time_files, time_loader, time_samples
from runner.machine import memory_bytes
from runner.messages import format_bytes
from runner.modes.pipeline import needed_bytes, open_dataset, open_loader
from runner.settings import Settings


def contenders(asked: LoaderKeys, processors: int, *, files: bool, cacheable: bool) -> tuple[LoaderSettings, ...]:
    """Every strategy, workers in powers of two up to `processors`, and the caches; what was asked for as well.

    All make the batches that `asked` makes. With `files` the samples are a file each; what lies in memory already is
    not `cacheable`.
    """
    keys = {name: getattr(asked, name) for name in LoaderKeys.model_fields}
    keys |= {"cache": "none", "use_multiprocessing": False}
    fully = keys | {"workers": processors}
    listed: list[LoaderSettings] = [Generator(**keys)]
    listed += [Sequence(**keys | {"workers": count}) for count in _powers(processors)]
    listed += [Sequence(**fully | {"use_multiprocessing": True})]
    listed += [DirectoryFlow(**fully)] if files else []
    listed += [InMemory(**fully)]
    listed += [Sequence(**fully | {"cache": "memory"})] if cacheable else []
    listed += [Sequence(**fully | {"cache": "disk"})] if cacheable and files else []
    listed += [asked] if isinstance(asked, LoaderSettings) else []
    by_line = {override_line(settings): settings.normalised() for settings in listed}
    return tuple(by_line.values())


def holds_all(settings: LoaderSettings) -> bool:
    """Whether a loader has all samples in memory once the first epoch is over."""
    return settings.kind == "in_memory" or settings.cache == "memory"


def override_line(settings: LoaderSettings) -> str:
    """What to type for these settings: `loader=sequence loader.workers=2`; of keys with an effect, all but defaults."""
    used = settings.normalised()
    keys = used.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
    if "workers" not in used.unused:
        keys = {"workers": used.workers, **keys}
    return " ".join((f"loader={used.kind}", *(f"loader.{name}={_typed(value)}" for name, value in keys.items())))


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _powers(most: int) -> Iterator[int]:
    """1, 2, 4, … and `most`."""
    count = 1
    while count < most:
        yield count
        count *= 2
    yield most


EVERY_SECONDS = 0.05
"""How often memory is looked at."""

LEAVE_SECONDS = 5.0
"""How long a process may take to end once it is done."""

Start = Callable[[], None]
Result = TypeVar("Result")


def in_own_process(function: Callable[..., Result], *arguments: Any, limit_seconds: float) -> tuple[Result, int]:
    """`function(start, *arguments)` from a process that has imported nothing else; all must be picklable.

    Beside it, the most bytes of memory the process and its children took beyond what they had at `start()`.
    Raises what the function raises; `WorkerError` where its process dies, or takes longer than the limit. However it
    ends, the process is gone.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        watched = _watch(ours, process.pid or 0, limit_seconds)
        process.join(LEAVE_SECONDS)
        return watched
    except EOFError as error:
        process.join()
        raise WorkerError(f"its process died (exit code {process.exitcode}), killed for memory perhaps") from error
    finally:
        process.kill()
        process.join()
        ours.close()


def _watch(pipe: Connection, pid: int, limit_seconds: float) -> tuple[Any, int]:
    at_start, peak, deadline = None, 0, time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        if not pipe.poll(EVERY_SECONDS):
            if at_start is not None:
                peak = max(peak, memory_bytes(pid))
            continue
        said = pipe.recv()
        peak = max(peak, memory_bytes(pid))
        if isinstance(said, BaseException):
            raise said
        if at_start is not None:
            pipe.send(None)
            return said[0], max(0, peak - at_start)
        at_start = peak
        pipe.send(None)
    raise WorkerError(f"it took longer than {limit_seconds:.0f} s")


def _serve(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Tell when `function` starts, and wait until that was taken note of; likewise when it is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent as well, which ends us

    def exchange(message: object) -> None:
        pipe.send(message)
        pipe.recv()

    with suppress(EOFError, BrokenPipeError):  # the parent was killed
        try:
            exchange((function(lambda: exchange(None), *arguments),))
        except RunnerError as error:
            pipe.send(error)
        except Exception as error:
            pipe.send(WorkerError(f"{type(error).__name__}: {error}"))


PATIENCE, AT_LEAST = 20, 60.0
"""A loader may take so many times `bench.seconds` in all, and so many seconds more to list the data and start."""


@dataclass(frozen=True)
class Row:
    """What came of one loader: its pace and memory, or why it has none."""

    line: str
    pace: Throughput | None = None
    memory_bytes: int = 0
    reason: str = ""


def measure_bounds(config: Settings, source: Source) -> Iterator[Row]:
    """What no loader that reads can beat: files and samples read by one thread, times the processors."""
    count = num_processors()
    whats = {"files": "files read, not decoded"} if source.has_files else {}
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


def _measured(line: str, function: Callable[..., Throughput], config: Settings, what: object) -> Row:
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


def _time_loader(start: Start, config: Settings, settings: LoaderSettings) -> Throughput:
    """In a process of its own: the pace of one loader."""
    dataset = _opened(config)
    start()
    with open_loader(config, settings, dataset, "train", training=True) as loader:
        return time_loader(loader, config.bench.seconds)


def _time_bound(start: Start, config: Settings, what: str) -> Throughput:
    """In a process of its own: the pace of reading without a loader."""
    source = _opened(config).splits["train"]
    start()
    if what == "files" and source.has_files:
        return time_files(source, config.bench.seconds)
    return time_samples(source, config.bench.seconds)


def _opened(config: Settings) -> Dataset:
    """The data, with one sample read: what decodes it is imported before memory and time count."""
    dataset = open_dataset(config)
    dataset.splits["train"].read(0)
    return dataset
