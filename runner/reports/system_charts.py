"""Charts of what a run used of its machine, on the axis of its learning curves: epochs, or the time of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from math import ceil, isfinite
from typing import Any

from runner.records.gpu_usage import MISSING, PACKAGE
from runner.records.run_folder import RunFolder, is_number
from runner.records.system_table import read_system
from runner.reports.axes import value_axis, whole_axis
from runner.reports.charts import Chart, LegendEntry
from runner.reports.plot import Line, Plot, Style, key_svg

MOST_POINTS = 400
"""The most points of a line: the smallest and the largest value of each piece of the table."""

STYLES = (Style("first"), Style("second"), Style("rank3"), Style("rank4"), Style("rank5"))

Rows = Sequence[Mapping[str, float | None]]
Read = Callable[[Mapping[str, float | None]], float | None]

FEW_EPOCHS = 5
"""The loss within epochs is drawn as long as fewer are done: later the curve by epoch says more."""

GPU_PERCENT, GPU_MEMORY = "gpu{}_percent", "gpu{}_memory_bytes"


def system_charts(run: RunFolder) -> list[Chart]:
    """Waiting and GPUs, processor, memory, and reads; none without a table of two rows. A line of zeros is left out."""
    rows = [row for row in read_system(run.path) if is_number(row.get("seconds")) and is_number(row.get("epoch"))]
    if len(rows) < 2:
        return []
    places = _Places(run, rows)
    gpus = [number for number in range(64) if GPU_PERCENT.format(number) in rows[-1]]
    names = ["GPU"] if len(gpus) == 1 else [f"GPU {number}" for number in gpus]
    busy = [(name, _column(GPU_PERCENT.format(number))) for name, number in zip(names, gpus, strict=True)]
    filled = [(name, _column(GPU_MEMORY.format(number), 1e9)) for name, number in zip(names, gpus, strict=True)]
    charts = [
        (f"waiting for data{' and GPU' * bool(gpus)}", "%", [("waiting", _column("wait_share", 0.01)), *busy]),
        ("processor, with workers", " cores", [("", _column("cpu_percent", 100))]),
        ("memory, with workers", " GB", [("run" if filled else "", _column("memory_bytes", 1e9)), *filled]),
        (
            "reads and network",
            " MB/s",
            [
                ("from files", _column("read_bytes_per_second", 1e6)),
                ("from disks", _column("disk_bytes_per_second", 1e6)),
                ("received", _column("received_bytes_per_second", 1e6)),
                ("sent", _column("sent_bytes_per_second", 1e6)),
            ],
        ),
    ]
    if len(run.metrics) < FEW_EPOCHS:
        charts.insert(0, ("loss of the epoch so far", "", [("", _column("loss"))]))
    drawn = (places.chart(title, unit, lines) for title, unit, lines in charts)
    return [chart for chart in drawn if chart is not None]


def gpu_note(document: Mapping[str, Any]) -> str | None:
    """Why a run on a machine with GPUs has no charts of them, by its run.json: a package is missing."""
    packages, machine = document.get("packages") or {}, document.get("machine") or {}
    return MISSING if machine.get("gpus") and packages and PACKAGE not in packages else None


def _column(name: str, unit: float = 1.0) -> Read:
    return lambda row: None if (value := row.get(name)) is None or not isfinite(value) else value / unit


class _Places:
    """Where each row is on the axis of epochs, and at which time of training."""

    def __init__(self, run: RunFolder, rows: Rows) -> None:
        durations = {int(row["epoch"] or 0): float(row.get("seconds") or 0.0) for row in run.metrics}
        self._until = {0: 0.0, **dict(zip(durations, accumulate(durations.values()), strict=True))}
        self._durations, self._ends = durations, _ends(rows, _steps_per_epoch(run))
        xs, times = list(accumulate(map(self._epoch, rows), max)), list(accumulate(map(self._time, rows), max))
        # What lies between two epochs, or after the last, has no place of its own: it would be a line straight up.
        kept = [
            number
            for number in range(len(rows))
            if number == 0 or (times[number] > times[number - 1] and xs[number] > xs[number - 1])
        ]
        self._rows = [rows[number] for number in kept]
        self._x, self._times = [xs[number] for number in kept], [times[number] for number in kept]

    def chart(self, title: str, unit: str, columns: Iterable[tuple[str, Read]]) -> Chart | None:
        """The chart of the columns that have a value above 0, and values at two places; None if there is none."""
        read = [(name, [value_of(row) for row in self._rows]) for name, value_of in columns]
        known = [(name, values) for name, values in read if any(values) and self._is_a_line(values)]
        numbers = _numbers([values for _, values in known])
        places = [round(self._x[number], 4) for number in numbers]
        lines = [
            Line(name, places, [values[number] for number in numbers], style)
            for (name, values), style in zip(known, STYLES, strict=False)
        ]
        if not lines:
            return None
        x = whole_axis([0, max(1, ceil(self._x[-1]))], "epoch")
        y = value_axis([0, *(value for line in lines for _, value in line.points())])
        plot = Plot(x, y, lines, kind="curves", from_zero=True, times=[self._times[number] for number in numbers])
        legend = [LegendEntry(key_svg(line.style), line.name) for line in lines]
        described = "; ".join(_described(name, values, unit) for name, values in known)
        return Chart(title, (), plot, described, unit, legend)

    def _is_a_line(self, values: Sequence[float | None]) -> bool:
        return len({x for x, value in zip(self._x, values, strict=True) if value is not None}) > 1

    def _epoch(self, row: Mapping[str, float | None]) -> float:
        """The epochs until a row: by time, up to the steps that are done within an epoch that is not over."""
        epoch, seconds = int(row["epoch"] or 1), row.get("epoch_seconds") or 0.0
        if duration := self._durations.get(epoch):
            return epoch - 1 + min(1.0, seconds / duration)
        last, done = self._ends[epoch]
        return epoch - 1 + (done * seconds / last if last else 0.0)

    def _time(self, row: Mapping[str, float | None]) -> float:
        epoch, seconds = int(row["epoch"] or 1), row.get("epoch_seconds") or 0.0
        before = self._until.get(epoch - 1, 0.0)
        return before + min(seconds, self._durations.get(epoch, seconds))


def _ends(rows: Rows, steps: int) -> dict[int, tuple[float, float]]:
    """By epoch, the seconds of it at its last row, and the share of its steps that are done by then."""
    ends = {}
    for row in rows:
        epoch = int(row["epoch"] or 1)
        done = ((row.get("step") or 0) - (epoch - 1) * steps) / steps if steps else 0.0
        ends[epoch] = (row.get("epoch_seconds") or 0.0, min(1.0, max(0.0, done)))
    return ends


def _numbers(columns: Sequence[Sequence[float | None]]) -> list[int]:
    """The rows to draw: all, or those with the smallest and the largest value of each column in pieces of the table."""
    count = len(columns[0]) if columns else 0
    if count <= MOST_POINTS:
        return list(range(count))
    step, numbers = -(-count * 2 * len(columns) // MOST_POINTS), {0, count - 1}
    for start in range(0, count, step):
        for values in columns:
            known = [number for number in range(start, min(start + step, count)) if values[number] is not None]
            numbers |= {end(known, key=lambda number: values[number] or 0.0) for end in (min, max) if known}
    return sorted(numbers)


def _described(name: str, values: Sequence[float | None], unit: str) -> str:
    known = [value for value in values if value is not None]
    return f"{name or 'the run'}: {min(known):.4g} to {max(known):.4g}{unit}"


def _steps_per_epoch(run: RunFolder) -> int:
    """The steps of an epoch; 0 where they are not known."""
    given = run.value("train.steps_per_epoch")
    size = (run.document.get("loader") or {}).get("batch_size")
    samples = (run.document.get("data", {}).get("samples") or {}).get("train")
    if isinstance(given, int):
        return given
    return -(-samples // size) if isinstance(samples, int) and isinstance(size, int) and size else 0
