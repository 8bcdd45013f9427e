"""metrics.csv: one row per epoch, rewritten as a whole after every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import SupportsFloat

from runner.errors import RunnerError
from runner.records.files import read_table, write_table

METRICS_CSV = "metrics.csv"
EPOCH, PHASE = "epoch", "phase"
"""The columns of the number of the epoch, and of the phase that it belongs to in a training with `train.phases`."""

TIMING = ("seconds", "images_per_second", "wait_share")
"""Columns that differ between any two runs, however exactly one repeats the other."""


FACTS = ("learning_rate", "seconds", "samples_seen", "images_per_second", "wait_share")
"""Columns of every run after those of the loss and the metrics."""


class MetricsTable:
    """The table of one run; the file is rewritten with each row, so that a kill leaves a whole table.

    The first row sets the order of the columns. A column that is new in a later row goes to the end, blank in the rows
    before; a missing value, or None, is blank, such as `val_*` with validation in every second epoch.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / METRICS_CSV
        self._columns = [EPOCH]
        self._rows: list[dict[str, str]] = []
        self._ours = False

    def resume(self, epochs: int) -> None:
        """Keep the first `epochs` rows of the existing table; later rows are dropped with the next `append`."""
        header, *rows = read_table(self.path) if self.path.exists() else [[EPOCH]]
        self._columns, self._ours = header, True
        self._rows = [dict(zip(header, row, strict=True)) for row in rows[:epochs]]

    def append(self, epoch: int, values: Mapping[str, SupportsFloat | None]) -> None:
        """Add the row of one epoch; numbers are written with all digits.

        Raises `RunnerError` if the file cannot be written, or existed before the first row.
        """
        self._columns += [name for name in values if name not in self._columns]
        self._rows.append({name: _cell(value) for name, value in {**values, EPOCH: epoch}.items()})
        rows = ([row.get(name, "") for name in self._columns] for row in self._rows)
        write_table(self.path, [self._columns, *rows], overwrite=self._ours)
        self._ours = True


def read_metrics(folder: Path) -> list[dict[str, int | float | None]]:
    """The rows of a run's table, blank cells as None; no rows before the end of the first epoch.

    Raises `RunnerError` if the file cannot be read, or a cell is not a number.
    """
    path = folder / METRICS_CSV
    if not path.exists():
        return []
    header, *rows = read_table(path) or [[]]
    try:
        return [dict(zip(header, map(_number, row), strict=True)) for row in rows]
    except ValueError as error:
        raise RunnerError(f"{path} is not a table of metrics: {error}") from error


def _cell(value: SupportsFloat | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))


def _number(cell: str) -> int | float | None:
    if not cell:
        return None
    return int(cell) if cell.lstrip("-").isdecimal() else float(cell)
