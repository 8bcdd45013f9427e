"""Tables on stdout, as text, CSV or JSON, and how their values are written."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from runner.messages import first_few, printable, wrapped
from runner.records.cells import to_cell
from runner.records.files import to_json

Format = Literal["table", "csv", "json"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json")
DIGEST = re.compile("[0-9a-f]{40,}")
TINY, HUGE = 1e-4, 1e9
"""Numbers below the first, and from the second on, are written with an exponent."""

PLUS_MINUS = " ± "

UNBOUNDED = 10_000
"""The width where stdout is not a terminal: nothing is wrapped or cut there."""


GAP = 2
"""The spaces between two columns."""

MOST_NAMED = 12
"""The most columns that are left out and named."""

TEXT_WIDTH, LONGEST_PIECE = 20, 30
"""The least width of a column of texts, which break between their pieces, and of a piece for which it is wider."""

PIECE = re.compile(r".+?(?:[=,](?=\S)|\s+|$)")
"""What a text may be broken behind: words, `key=` and the items of a list, never within a number."""

LONG_TITLE = 14
"""The longest title that is not broken behind an underscore."""


def phase_texts(network: Mapping[str, Any]) -> list[str]:
    """The phases of a training, each in words, from the section `network` of run.json.

    >>> one = {"phase": 1, "first_epoch": 1, "trainable_weights": 1290, "optimizer": "adam at 0.001"}
    >>> phase_texts({"phases": [one]})
    ['1 from epoch 1: 1,290 weights, adam at 0.001']
    """
    texts = "{phase} from epoch {first_epoch}: {trainable_weights:,} weights, {optimizer}"
    mixed = ", on mixed samples"
    return [texts.format(**one) + (mixed if one.get("of_mixed_samples") else "") for one in network.get("phases", ())]


def write_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    form: Format,
    *,
    kept: Sequence[str] = (),
    rest: str = "format=csv shows all",
) -> None:
    """Write `rows` to stdout: a table with rounded numbers, or CSV or a JSON list of objects with all digits.

    A table that is wider than the terminal leaves columns out, from the right, and names them; the first column and
    those in `kept` stay. `rest` says where those that were left out are.
    """
    if form == "json":
        sys.stdout.write(to_json([dict(zip(columns, row, strict=True)) for row in rows]))
    elif form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [columns, *([to_cell(csv_text(cell)) for cell in row] for row in rows)]
        )
        sys.stdout.write(text.getvalue())
    else:
        _write_table(columns, rows, kept, rest)


def brief(value: Any) -> str:
    """A value in a table: integers in full, other numbers `rounded`, the beginning of a digest; empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return rounded(value)
    text = printable(csv_text(value))
    return f"{text[:12]}…" if DIGEST.fullmatch(text) else text


def rounded(value: float) -> str:
    """A number with four significant digits and no trailing zeros: 0.0312, 0.975, 49.1; an integer from 1,000 on."""
    decimals = _decimals(value)
    if decimals is None:
        return f"{value:.4g}"
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


FRACTION = re.compile(r"(?<=[=\[:, ])-?\d*\.\d+(?:e[-+]?\d+)?(?=[,\]} ]|$)")
"""A number in what was typed for a key: alone, or in a list or a mapping."""


def brief_numbers(text: str) -> str:
    """What was typed, with four significant digits of each number, as tables show it.

    >>> brief_numbers("train.learning_rate=0.0005089244725302028 data.root=v0.12345/a"), brief_numbers("a=[0.5,1e-05]")
    ('train.learning_rate=0.0005089 data.root=v0.12345/a', 'a=[0.5,1e-05]')
    """
    return FRACTION.sub(
        lambda found: shorter if len(shorter := f"{float(found[0]):.4g}") < len(found[0]) else found[0], text
    )


def spread(mean: float, deviation: float) -> str:
    """A mean with four significant digits, and its deviation with as many decimals.

    >>> spread(1687.2, 12.34), spread(0.97512, 0.0016), spread(49.1, 0.0)
    ('1,687 ± 12', '0.9751 ± 0.0016', '49.1 ± 0')
    """
    decimals = _decimals(mean)
    if not deviation or decimals is None:
        return f"{rounded(mean)}{PLUS_MINUS}{rounded(deviation)}"
    return f"{mean:,.{decimals}f}{PLUS_MINUS}{deviation:,.{decimals}f}"


def _decimals(value: float) -> int | None:
    """The decimals that four significant digits need; None if the value is written with an exponent."""
    if value and not TINY <= abs(value) < HUGE:
        return None
    exponent = int(f"{value:.3e}".partition("e")[2])
    return max(0, 3 - exponent)


def csv_text(value: Any) -> str:
    """A value in a CSV cell, with all digits and no quotes; empty for None, which is null within a list or a mapping.

    >>> csv_text(None), csv_text([{"crop": None, "flip": "vertical"}, 0.1])
    ('', '[{crop: null, flip: vertical}, 0.1]')
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_part_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_part_text(item)}' for key, item in value.items())}}}"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _part_text(value: Any) -> str:
    return "null" if value is None else csv_text(value) or "''"


def _write_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], kept: Sequence[str], rest: str) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=UNBOUNDED)
    # A table that fits is written as lines: for a thousand of them, rich would take 0.7 s.
    cells = [[*columns], *([*map(brief, row)] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if sum(widths) + GAP * (len(widths) - 1) <= console.width:
        numeric = [_is_numeric(rows, number) for number in range(len(columns))]
        heading, *lines = [_line(row, widths, numeric) for row in cells]
        console.out(heading, style="bold", highlight=False)
        console.out("".join(f"{line}\n" for line in lines), end="", highlight=False)
        return
    stay = [number for number, name in enumerate(columns) if not number or name in kept]
    chosen = fitting([_least_width(columns, rows, number) for number in range(len(columns))], console.width, stay)
    console.print(_table([columns[each] for each in chosen], [[row[each] for each in chosen] for row in rows]))
    if left_out := [name for number, name in enumerate(columns) if number not in chosen]:
        text = f"left out: {first_few(left_out, most=MOST_NAMED)}; {rest}"
        console.out("\n".join(wrapped(text, console.width)), highlight=False)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    """The cells of a row on one line, numbers at the right of their columns."""
    spaces = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
    parts = zip(cells, spaces, numeric, strict=True)
    return (" " * GAP).join(space + cell if right else cell + space for cell, space, right in parts).rstrip()


def fitting(widths: Sequence[int], width: int, stay: Container[int]) -> list[int]:
    """The columns of a table that fit into `width`: those that do not stay are left out from the right.

    >>> fitting([3, 9, 9, 7], 24, stay=[0, 3]), fitting([3, 9], 80, stay=[0])
    ([0, 1, 3], [0, 1])
    """
    chosen = list(range(len(widths)))
    for number in reversed(range(len(widths))):
        if sum(widths[each] + GAP for each in chosen) - GAP > width and number not in stay:
            chosen.remove(number)
    return chosen


def _least_width(columns: Sequence[str], rows: Sequence[Sequence[Any]], number: int) -> int:
    """The width of a column in a narrow table."""
    title, cells = _in_two_lines(columns[number]), [brief(row[number]) for row in rows]
    if _is_numeric(rows, number):
        return max(_width(line) for line in (title, *map(_above_deviation, cells)))
    widest = max(map(cell_len, cells), default=0)
    if number:
        longest = max((cell_len(piece.rstrip()) for cell in cells for piece in PIECE.findall(cell)), default=0)
        widest = min(widest, max(TEXT_WIDTH, min(longest, LONGEST_PIECE)))
    return max(_width(title), widest)


def _width(lines: str) -> int:
    return max(map(cell_len, lines.split("\n")))


class _Pieces:
    """A text that a table breaks between its words, and a word that is wider than its column between its pieces."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        least = max((cell_len(piece.rstrip()) for piece in PIECE.findall(self._text)), default=0)
        return Measurement(least, max(least, cell_len(self._text))).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        lines = [""]
        for word in re.findall(r"\S+\s*", self._text):
            is_wide = cell_len(word.rstrip()) > options.max_width
            for piece in PIECE.findall(word) if is_wide else [word]:
                if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > options.max_width:
                    lines.append("")
                lines[-1] += piece
        yield Text("\n".join(line.rstrip() for line in lines), overflow="fold")


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A narrow table: long titles, and a mean with its deviation, take two lines."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for number, column in enumerate(columns):
        numeric = _is_numeric(rows, number)
        justify: JustifyMethod = "right" if numeric else "left"
        table.add_column(_in_two_lines(column), justify=justify, overflow="fold", no_wrap=number == 0 or numeric)
    are_texts = [number > 0 and not _is_numeric(rows, number) for number in range(len(columns))]
    for row in rows:
        cells = map(_above_deviation, map(brief, row))
        table.add_row(*(_Pieces(cell) if is_text else cell for cell, is_text in zip(cells, are_texts, strict=True)))
    return table


def _above_deviation(cell: str) -> str:
    return cell.replace(PLUS_MINUS, f"\n{PLUS_MINUS.lstrip()}")


def _is_numeric(rows: Sequence[Sequence[Any]], number: int) -> bool:
    return all(_is_number(row[number]) for row in rows)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | None) or (isinstance(value, str) and PLUS_MINUS in value)


def _in_two_lines(title: str) -> str:
    r"""A title, broken after the dot, space or underscore that gives the shortest lines; a single word stays whole.

    >>> _in_two_lines("train.optimizer.name"), _in_two_lines("first batch s"), _in_two_lines("status")
    ('train.\noptimizer.name', 'first\nbatch s', 'status')
    """
    places = [place.end() for place in re.finditer("[. _]" if len(title) > LONG_TITLE else "[. ]", title)]
    if not places:
        return title
    place = min(places, key=lambda place: max(place, len(title) - place))
    return f"{title[:place].rstrip()}\n{title[place:]}"
