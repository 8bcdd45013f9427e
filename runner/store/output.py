"""Tables of runs, for a person, for a spreadsheet and for a program."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from runner.records.json_text import to_json

Format = Literal["table", "csv", "json"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json")
DIGEST = re.compile("[0-9a-f]{40,}")
HUGE = 1e9
"""From here on only the magnitude of a number says something."""

UNBOUNDED = 10_000
"""Columns of an output that is no terminal: nothing is wrapped or cut there."""


def write_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], form: Format) -> None:
    """`rows` on stdout: right-aligned numbers for a person, all digits else; of JSON a list of objects."""
    if form == "json":
        sys.stdout.write(to_json([dict(zip(columns, row, strict=True)) for row in rows]))
    elif form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([columns, *map(_cells, rows)])
        sys.stdout.write(text.getvalue())
    else:
        _write_table(columns, rows)


def brief(value: Any) -> str:
    """A value as a person reads it in a table: four digits, of large numbers all; the beginning of a digest."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _rounded(value)
    text = plain(value)
    return f"{text[:12]}…" if DIGEST.fullmatch(text) else text


def _rounded(value: float) -> str:
    size = abs(value)
    return f"{value:.4f}" if 0.001 <= size < 1000 else f"{value:.0f}" if 1000 <= size < HUGE else f"{value:.4g}"


def plain(value: Any) -> str:
    """A value as text, with all its digits."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(plain, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {plain(item)}' for key, item in value.items())}}}"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _cells(row: Iterable[Any]) -> list[str]:
    return [plain(value) for value in row]


def _write_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=UNBOUNDED)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        numeric = all(isinstance(row[number], int | float | None) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*map(brief, row))
    console.print(table)
