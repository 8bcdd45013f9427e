"""The measurements of `mode=bench`: which loaders to compare, and the speed and memory of each in its own process."""

from __future__ import annotations

import multiprocessing
import shutil
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
from runner.isolated import IsolatedProcess, is_of_script
from runner.loaders.auto import num_processors
from runner.loaders.kinds import DirectoryFlow, Generator, InMemory, Sequence
from runner.loaders.settings import LoaderKeys, LoaderSettings
from runner.loaders.throughput import Throughput, time_files, time_loader, time_samples
from runner.machine import memory_bytes
from runner.messages import format_bytes, yaml_text
from runner.modes.open_data import open_dataset
from runner.modes.pipeline import needed_bytes, open_loader
from runner.settings import Settings

PATIENCE, AT_LEAST = 20, 60.0
"""The time limit of a measurement: 20 times `bench.seconds`, and 60 seconds to list the data and start."""


@dataclass(frozen=True)
class LoaderResult:
    """The measurement of one loader: its pace and memory, or the reason why it has none."""

    line: str
    pace: Throughput | None = None
    memory_bytes: int = 0
    reason: str = ""


def candidates(requested: LoaderKeys, processors: int, *, files: bool, cacheable: bool) -> tuple[LoaderSettings, ...]:
    """Every strategy, with workers in powers of two up to `processors`, and every cache; also `requested` itself.

    All make the same batches as `requested`. With `files`, each sample is a file. Data that is in memory already is
    not `cacheable`.
    """
    keys = {name: getattr(requested, name) for name in LoaderKeys.model_fields}
    keys |= {"cache": "none", "use_multiprocessing": False}
    fully = keys | {"workers": processors}
    listed: list[LoaderSettings] = [Generator(**keys)]
    listed += [Sequence(**keys | {"workers": count}) for count in _powers(processors)]
    listed += [Sequence(**fully | {"use_multiprocessing": True})]
    listed += [DirectoryFlow(**fully)] if files else []
    listed += [InMemory(**fully)]
    listed += [Sequence(**fully | {"cache": "memory"})] if cacheable else []
    listed += [Sequence(**fully | {"cache": "disk"})] if cacheable and files else []
    listed += [requested] if isinstance(requested, LoaderSettings) else []
    by_line = {override_line(settings): settings.normalised() for settings in listed}
    return tuple(by_line.values())


def override_line(settings: LoaderSettings) -> str:
    """The overrides for these settings, without defaults and unused keys: `loader=sequence loader.workers=2`."""
    used = settings.normalised()
    keys = used.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
    if "workers" not in used.unused:
        keys = {"workers": used.workers, **keys}
    return " ".join((f"loader={used.kind}", *(f"loader.{name}={yaml_text(value)}" for name, value in keys.items())))


def _powers(most: int) -> Iterator[int]:
    """1, 2, 4, … and `most`."""
    count = 1
    while count < most:
        yield count
        count *= 2
    yield most


def measure_bounds(config: Settings, source: Source) -> Iterator[LoaderResult]:
    """Upper bounds for loaders that read: files and samples read by one thread, times the processors."""
    count = num_processors()
    files = {"files": "files read, not decoded"} if source.has_bytes else {}
    for what, name in {**files, "samples": "samples read and decoded"}.items():
        result = _measured(f"{name}: 1 thread × {count}", _time_bound, config, what)
        one = result.pace
        pace = one and replace(one, num_samples=one.num_samples * count, cpu_seconds=one.cpu_seconds * count)
        yield replace(result, pace=pace)


def measure_loader(
    config: Settings, settings: LoaderSettings, dataset: Dataset, available: int, share: float
) -> LoaderResult:
    """Measure one loader on a part of the samples; all samples are `share` times as many.

    For a loader that holds all samples in memory, memory and first batch are extrapolated to all of them.
    """
    line = override_line(settings)
    if reason := _no_room(config, settings, dataset, available):
        return LoaderResult(line, reason=reason)
    with _temporary_cache(settings) as measured:
        result = _measured(line, _time_loader, config, measured)
    pace = result.pace
    if pace is None or not holds_all(settings):
        return result
    source = dataset.splits["train"]
    if settings.kind == "in_memory":
        pace = replace(pace, first_batch_seconds=pace.first_batch_seconds * share)
    missing = round(len(source) * (1 - 1 / share)) * source.spec.num_bytes
    return replace(result, pace=pace, memory_bytes=result.memory_bytes + missing)


def _no_room(config: Settings, settings: LoaderSettings, dataset: Dataset, available: int) -> str:
    """Why memory or disk are too small to measure this loader; empty if they are not."""
    needed = needed_bytes(config, settings, dataset, tuple(dataset.splits))
    if needed > available:
        return f"needs {format_bytes(needed)} of memory, {format_bytes(available)} are free"
    if settings.cache != "disk":
        return ""
    wanted = sum(len(source) * source.spec.num_bytes for source in dataset.splits.values())
    free = shutil.disk_usage(_disk_of(settings)).free
    if wanted <= free // 2:
        return ""
    return f"needs {format_bytes(wanted)} of disk, more than half of the {format_bytes(free)} that are free"


def _measured(line: str, function: Callable[..., Throughput], config: Settings, argument: object) -> LoaderResult:
    """Run a function in a process of its own; an error there becomes the reason of the result."""
    limit_seconds = AT_LEAST + PATIENCE * config.bench.seconds
    try:
        pace, memory = in_own_process(function, config, argument, limit_seconds=limit_seconds)
    except RunnerError as error:
        return LoaderResult(line, reason=" ".join(str(error).split()))
    return LoaderResult(line, pace, memory)


@contextmanager
def _temporary_cache(settings: LoaderSettings) -> Iterator[LoaderSettings]:
    """The settings with a temporary cache on the same disk, if they have a cache on disk."""
    if settings.cache != "disk":
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=_disk_of(settings)) as folder:
        yield settings.model_copy(update={"cache_dir": Path(folder)})


def _disk_of(settings: LoaderSettings) -> Path:
    """The innermost existing folder around the cache."""
    return next(folder for folder in settings.cache_dir.absolute().parents if folder.is_dir())


def _time_loader(start: Start, config: Settings, settings: LoaderSettings) -> Throughput:
    """The pace of one loader; runs in a process of its own."""
    dataset = _opened(config)
    start()
    with open_loader(config, settings, dataset, "train", training=True) as loader:
        return time_loader(loader, config.bench.seconds)


def _time_bound(start: Start, config: Settings, what: str) -> Throughput:
    """The pace of reading without a loader; runs in a process of its own."""
    source = _opened(config).splits["train"]
    start()
    if what == "files" and source.has_bytes:
        return time_files(source, config.bench.seconds)
    return time_samples(source, config.bench.seconds)


def _opened(config: Settings) -> Dataset:
    """The data, with one sample read, so that decoders are imported before memory and time count."""
    dataset = open_dataset(config)
    dataset.splits["train"].read(0)
    return dataset


def holds_all(settings: LoaderSettings) -> bool:
    """Whether a loader holds all samples in memory after the first epoch."""
    return settings.kind == "in_memory" or settings.cache == "memory"


EVERY_SECONDS = 0.05
"""Seconds between two measurements of memory."""

LEAVE_SECONDS = 5.0
"""Seconds that a process may take to end once it has its result."""

Start = Callable[[], None]
Result = TypeVar("Result")


def in_own_process(function: Callable[..., Result], *arguments: Any, limit_seconds: float) -> tuple[Result, int]:
    """The result of `function(start, *arguments)` in a fresh process, and the bytes of memory it took.

    Function and arguments must be picklable. The memory is the peak of the process and its children, less what they
    had when the function called `start()`. Raises what the function raises, and `WorkerError` if the process dies or
    exceeds the limit. The process never outlives the call.
    """
    ours, theirs = multiprocessing.Pipe()
    process = IsolatedProcess(target=_serve, args=(theirs, function, arguments))
    process.imports_script = is_of_script((function, arguments))
    process.start()
    theirs.close()
    try:
        watched = _watch(ours, process.pid or 0, limit_seconds)
        process.join(LEAVE_SECONDS)
        return watched
    except EOFError as error:
        process.join()
        raise WorkerError(f"its process died (exit code {process.exitcode}), perhaps out of memory") from error
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
        message = pipe.recv()
        peak = max(peak, memory_bytes(pid))
        if isinstance(message, BaseException):
            raise message
        if at_start is not None:
            pipe.send(None)
            return message[0], max(0, peak - at_start)
        at_start = peak
        pipe.send(None)
    raise WorkerError(f"it took longer than {limit_seconds:.0f} s")


def _serve(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run `function`; report its start and its result, and wait until the parent has measured memory at each."""

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
