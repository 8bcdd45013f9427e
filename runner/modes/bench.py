"""`mode=bench`: measure every loader on the user's data and machine, and name the best one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from runner.data.dataset import Dataset
from runner.data.source import Source
from runner.errors import RunnerError
from runner.loaders.auto import num_processors
from runner.loaders.settings import LoaderSettings
from runner.loaders.throughput import Throughput, as_fast_as_best, evenly
from runner.machine import available_bytes
from runner.messages import format_bytes, plural
from runner.modes.bench_measure import LoaderResult, candidates, measure_bounds, measure_loader
from runner.modes.open_data import open_dataset
from runner.modes.summary import Line, data_lines
from runner.modes.terminal import Terminal
from runner.records.files import write_table
from runner.records.record import RunRecord
from runner.settings import Settings
from runner.watchdog import watched

BENCH_CSV = "bench.csv"
BATCHES = 4
"""The fewest batches to measure with, if the data has as many."""
IDLE_CHECK_SECONDS, QUIET = 0.3, 0.1
"""How long to measure the load of the CPU before the benchmark, and the load from which on to warn."""


def bench_loaders(config: Settings, record: RunRecord, terminal: Terminal) -> None:
    """Measure every loader; write bench.csv and report it. Raises `RunnerError` if no loader could be measured."""
    with record.stage("data"):
        dataset, available = open_dataset(config), available_bytes()
        terminal.summary(data_lines(config, dataset, available))
    with record.stage("bench"):
        _note_other_work(terminal)
        source = dataset.splits["train"]
        used = _samples_to_use(source, config, terminal)
        rows, bounds = _measure(config, dataset, available, used, terminal)
    documents = [_document(config, row) for row in rows]
    write_table(record.path / BENCH_CSV, [list(documents[0]), *(list(document.values()) for document in documents)])
    best = best_of(rows)
    results = {"best": best and best.line, "samples": used, "of": len(source), "loaders": documents}
    record.update(results={"bench": {**results, "bounds": [_document(config, row) for row in bounds]}})
    if best is None:
        raise RunnerError(f"no loader could be measured: {rows[0].reason}")
    terminal.table(HEADER, [_cells(config, row) for row in (*rows, *bounds) if row.pace])
    terminal.summary(_failed_lines(rows))
    terminal.summary(_best_lines(config, best))


def _measure(
    config: Settings, dataset: Dataset, available: int, used: int, terminal: Terminal
) -> tuple[list[LoaderResult], list[LoaderResult]]:
    """The results of all loaders over `used` samples, the fastest first; and the upper bounds."""
    source = dataset.splits["train"]
    share = len(source) / used
    limited = config.model_copy(update={"data": config.data.model_copy(update={"limit": used})})
    listed = _listed(config, source)
    with terminal.counting("bench", len(listed) + 1, "loaders") as on_loaders:
        bounds = list(measure_bounds(limited, source))
        on_loaders(1)
        rows = []
        for settings in listed:
            rows.append(measure_loader(limited, settings, dataset, available, share))
            on_loaders(1)
    return sorted(rows, key=lambda row: -row.pace.samples_per_second if row.pace else 0), bounds


def best_of(rows: Sequence[LoaderResult]) -> LoaderResult | None:
    """The fastest loader; of those about as fast, the one with the least memory. None if all failed."""
    measured = [row for row in rows if row.pace]
    close = as_fast_as_best(measured, lambda row: row.pace.samples_per_second if row.pace else 0.0)
    return min(close, key=lambda row: row.memory_bytes, default=None)


def _listed(config: Settings, source: Source) -> tuple[LoaderSettings, ...]:
    in_memory_already = config.data.kind == "arrays"
    return candidates(config.loader, num_processors(), files=source.has_bytes, cacheable=not in_memory_already)


def _note_other_work(terminal: Terminal) -> None:
    import psutil

    busy = psutil.cpu_percent(IDLE_CHECK_SECONDS) / 100
    if busy > QUIET:
        terminal.note(f"other programs keep the CPU {busy:.0%} busy: the results are less reliable")


def _read(source: Source, index: int) -> None:
    with watched(lambda: f"sample {source.ids[index]}"):
        source.read(index)


def _samples_to_use(source: Source, config: Settings, terminal: Terminal) -> int:
    """The number of samples that one thread reads in the time a loader has; a few are read to estimate that."""
    reading, began = 0, time.perf_counter()
    for index in evenly(len(source)):
        _read(source, index)
        reading += 1
        if time.perf_counter() - began >= config.bench.seconds / 2:
            break
    rate = reading / (time.perf_counter() - began)
    enough = max(round(rate * config.bench.seconds), BATCHES * config.loader.batch_size)
    used = min(len(source), enough)
    whole = "all" if used == len(source) else f"{used:,} of {len(source):,}"
    terminal.summary(
        [
            ("bench", f"{whole} training samples; {config.bench.seconds:g} s per loader, after a warm-up epoch"),
            ("", f"1 thread read the first {plural(reading, 'sample')} at {rate:,.0f} samples/s"),
            ("", "measured with a warm page cache and no model running"),
        ]
    )
    return used


def _document(config: Settings, row: LoaderResult) -> dict[str, Any]:
    """A result as a row of bench.csv and as an entry of run.json."""
    pace = row.pace
    return {
        "loader": row.line,
        "samples_per_second": pace and round(pace.samples_per_second, 1),
        "batch_milliseconds": pace and round(_batch_milliseconds(config, pace), 3),
        "cpu_seconds_per_1000_samples": pace and round(_cpu_per_1000(pace), 4),
        "memory_bytes": pace and row.memory_bytes,
        "first_batch_seconds": pace and round(pace.first_batch_seconds, 4),
        "num_samples": pace and pace.num_samples,
        "reason": row.reason,
    }


HEADER = ("loader", "samples/s", "ms/batch", "CPU s/1,000", "memory", "first batch", "measured")


def _cells(config: Settings, row: LoaderResult) -> tuple[str, ...]:
    name = row.line.removeprefix("loader=").replace(" loader.", " ")
    if row.pace is None:
        return (name,)
    first = row.pace.first_batch_seconds
    return (
        name,
        f"{row.pace.samples_per_second:,.0f}",
        f"{_batch_milliseconds(config, row.pace):,.2f}",
        f"{_cpu_per_1000(row.pace):.3f}",
        format_bytes(row.memory_bytes) if first else "",
        f"{first:.2f} s" if first else "",
        f"{row.pace.num_samples:,}",
    )


def _failed_lines(rows: Sequence[LoaderResult]) -> Iterator[Line]:
    failed = [row for row in rows if row.pace is None]
    for number, row in enumerate(failed):
        yield "" if number else "failed", f"{row.line}: {row.reason}"


def _best_lines(config: Settings, best: LoaderResult) -> Iterator[Line]:
    if best.pace is not None:
        milliseconds = _batch_milliseconds(config, best.pace)
        yield "best", best.line
        yield (
            "",
            f"a model never waits if its step of {plural(config.loader.batch_size, 'sample')} takes "
            f"{milliseconds:.2f} ms or longer",
        )


def _batch_milliseconds(config: Settings, pace: Throughput) -> float:
    return config.loader.batch_size / pace.samples_per_second * 1000


def _cpu_per_1000(pace: Throughput) -> float:
    return pace.cpu_seconds / pace.num_samples * 1000
