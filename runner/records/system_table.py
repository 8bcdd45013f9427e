"""system.csv: what a run used of its machine while it trained, a row each second, in long runs fewer."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import IO

from runner.records.files import write_cells, write_table

SYSTEM_CSV = "system.csv"

MOST_ROWS = 3600
"""Rows of the table; once it has as many, every second one is dropped, and rows come half as often."""

SHORTEST_SECONDS = 1.0

Cells = Mapping[str, float | int | None]
Row = dict[str, float | None]


class SystemTable:
    """The table of one run. Each row is appended, so a kill leaves at most half a row, which readers drop.

    `interval` is the time in seconds from one row to the next.
    """

    def __init__(self, folder: Path, *, most: int = MOST_ROWS) -> None:
        self.path, self._most = folder / SYSTEM_CSV, most
        self.interval = SHORTEST_SECONDS
        self.seconds = 0.0
        """Those of the last row that a resumed run keeps."""
        self._rows: list[Row] = []
        self._columns: list[str] = []
        self._file: IO[str] | None = None

    def resume(self, step: int) -> None:
        """Continue the table of the run with these many steps; rows of later steps, which come again, are dropped."""
        rows = read_system(self.path.parent)
        gaps = [after - before for before, after in pairwise(row["seconds"] or 0.0 for row in rows) if after > before]
        self.interval = SHORTEST_SECONDS * 2 ** max(
            0, round(log2(min(gaps, default=SHORTEST_SECONDS) / SHORTEST_SECONDS))
        )
        self._rows = [row for row in rows if (row.get("step") or 0) <= step]
        self.seconds = max((row["seconds"] or 0.0 for row in self._rows), default=0.0)

    def append(self, row: Cells) -> None:
        """Add a row.

        Raises `RunnerError` or `OSError` if the file cannot be written.
        """
        self._rows.append(dict(row))
        is_new = [name for name in row if name not in self._columns]
        if len(self._rows) >= self._most:
            self._rows, self.interval, is_new = self._rows[1::2], 2 * self.interval, [*row]
        if self._file is None or is_new:
            self._rewrite()
        else:
            write_cells(self._file, [self._cells(row)])
            self._file.flush()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rewrite(self) -> None:
        self.close()
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        write_table(self.path, [self._columns, *map(self._cells, self._rows)], overwrite=True)
        self._file = self.path.open("a", encoding="utf-8", newline="")

    def _cells(self, row: Cells) -> list[object]:
        return ["" if (value := row.get(name)) is None else value for name in self._columns]


def read_system(folder: Path) -> list[Row]:
    """The rows of a run's table, blank cells as None; none without a table, or if it is damaged.

    A row that a kill or a full disk has cut is left out.
    """
    try:
        with (folder / SYSTEM_CSV).open(encoding="utf-8", newline="") as file:
            header, *rows = [*csv.reader(file)] or [[]]
        whole = [row for row in rows if len(row) == len(header)]
        return [dict(zip(header, [float(cell) if cell else None for cell in row], strict=True)) for row in whole]
    except (OSError, ValueError, csv.Error):
        return []
