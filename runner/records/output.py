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

from runner.records.files import to_json

Format = Literal["table", "csv", "json"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json")
DIGEST = re.compile("[0-9a-f]{40,}")
TINY, HUGE = 1e-4, 1e9
"""Below and from here on only the magnitude of a number says something."""

PLUS_MINUS = " ± "

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
    """A value as a person reads it in a table: whole numbers as they are, others `rounded`; a digest's beginning."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return rounded(value)
    text = plain(value)
    return f"{text[:12]}…" if DIGEST.fullmatch(text) else text


def rounded(value: float) -> str:
    """Four digits, without zeros at the end: 0.0312, 0.975, 49.1; from 1,000 on no decimals, yet all whole digits."""
    decimals = _decimals(value)
    if decimals is None:
        return f"{value:.4g}"
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def spread(mean: float, deviation: float) -> str:
    """A mean as in `rounded`, and the deviation to the same place.

    >>> spread(1687.2, 12.34), spread(0.97512, 0.0016), spread(49.1, 0.0)
    ('1,687 ± 12', '0.9751 ± 0.0016', '49.1 ± 0')
    """
    decimals = _decimals(mean)
    if not deviation or decimals is None:
        return f"{rounded(mean)}{PLUS_MINUS}{rounded(deviation)}"
    return f"{mean:,.{decimals}f}{PLUS_MINUS}{deviation:,.{decimals}f}"


def _decimals(value: float) -> int | None:
    """The decimals of a value's first four digits; None where only its magnitude says something."""
    if value and not TINY <= abs(value) < HUGE:
        return None
    exponent = int(f"{value:.3e}".partition("e")[2])
    return max(0, 3 - exponent)


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
    table = _table(columns, rows)
    is_too_wide = console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum > console.width
    console.print(_table(columns, rows, narrow=True) if is_too_wide else table)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, narrow: bool = False) -> Table:
    """The table; a narrow one has two lines for long headings, and for a mean and its deviation."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        numeric = all(_is_figure(row[number]) for row in rows)
        title = _in_two_lines(column) if narrow else column
        table.add_column(title, justify="right" if numeric else "left", overflow="fold", no_wrap=number == 0)
    for row in rows:
        cells = map(brief, row)
        table.add_row(*(cell.replace(PLUS_MINUS, f"\n{PLUS_MINUS.lstrip()}") if narrow else cell for cell in cells))
    return table


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float | None) or (isinstance(value, str) and PLUS_MINUS in value)


def _in_two_lines(title: str) -> str:
    r"""A heading broken after a dot or a blank, so that its lines are as short as can be; a single word as it is.

    >>> _in_two_lines("train.optimizer.name"), _in_two_lines("first batch s"), _in_two_lines("status")
    ('train.\noptimizer.name', 'first\nbatch s', 'status')
    """
    places = [place.end() for place in re.finditer(r"[. ]", title)]
    if not places:
        return title
    place = min(places, key=lambda place: max(place, len(title) - place))
    return f"{title[:place].rstrip()}\n{title[place:]}"
