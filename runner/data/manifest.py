"""Manifest: the CSV or Parquet table that lists samples, and how it is read."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.batch import Indices
from runner.errors import DataError
from runner.messages import first_few, nearest, plural

if TYPE_CHECKING:
    import pandas as pd

PARQUET = ".parquet"
TEXTS = (".csv", ".tsv", ".txt")
"""Ends of the names of tables in text; what separates their cells is seen in the header."""

NOTHING = ("", "nan", "NaN", "<NA>", "#N/A")
"""Cells of a CSV file that count as empty; `NA`, `None` and `null` do not, as they may name a class."""

SEPARATORS = ",;\t|"
"""Separators of a CSV file that are recognised."""

MOST_COLUMNS = 20
"""Columns that a message names."""


@dataclass(frozen=True)
class Manifest:
    """The columns of `file` that are used; row 1 is the first below the header."""

    file: Path
    table: pd.DataFrame
    """Its index has the numbers of the rows in the file; of joined tables, pairs of a place in `files` and a number."""

    files: tuple[Path, ...] = ()
    """The files of joined tables."""

    def __len__(self) -> int:
        return len(self.table)

    def refuse(self, rows: Indices, column: str, must: str, fix: str = "") -> None:
        """Raise `DataError` for `rows` (indices), if any: their cell in `column` is not what it `must` be."""
        if not len(rows):
            return
        cell = self.table[column].iloc[int(rows[0])]
        cell = cell.tolist() if isinstance(cell, np.ndarray) else cell
        others = f" (and {plural(len(rows) - 1, 'more row')})" if len(rows) > 1 else ""
        found = "nothing" if _is_empty(cell) else repr(str(cell))
        file, number = self._place(int(rows[0]))
        raise DataError(f"{file}: row {number + 1}, column {column!r}, must {must}, got {found}{others}{fix}")

    def _place(self, row: int) -> tuple[Path, int]:
        """The file of a row, and its index there."""
        label: Any = self.table.index[row]
        return (self.files[label[0]], int(label[1])) if self.files else (self.file, int(label))

    def keep(self, rows: Indices) -> Manifest:
        """The table with these rows only, whose numbers stay."""
        return Manifest(self.file, self.table.iloc[rows], self.files)


def joined(manifests: Sequence[Manifest]) -> Manifest:
    """The rows of tables, one after the other."""
    first, *others = manifests
    if not others:
        return first
    import pandas as pd

    table = pd.concat([one.table for one in manifests], keys=range(len(manifests)))
    return Manifest(first.file, table, tuple(one.file for one in manifests))


def read_manifest(file: Path, texts: Sequence[str], numbers: Sequence[str]) -> Manifest:
    """Read the columns `texts`, as the text that stands there, and the columns `numbers`.

    Raises `DataError` if the file cannot be read or lacks one of the columns.
    """
    wanted = list(dict.fromkeys((*texts, *numbers)))
    read = _read_parquet if file.suffix.lower() == PARQUET else _read_csv
    try:
        return Manifest(file, read(file, wanted, texts))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} must be text in UTF-8, got byte 0x{error.object[error.start]:02x}; save it as CSV UTF-8, or "
            "convert it, as in iconv -f cp1252 -t utf-8 FILE > NEW"
        ) from error
    except (OSError, ValueError, NotImplementedError, csv.Error) as error:
        raise DataError(f"{file} must be a CSV or Parquet file with a header: {error}") from error


def _read_parquet(file: Path, wanted: Sequence[str], _: Sequence[str]) -> pd.DataFrame:
    import pyarrow.parquet as parquet

    _refuse_missing(file, wanted, parquet.read_schema(file).names)
    # Without pandas's own metadata an index is a column, and a nullable column has plain values.
    frame: pd.DataFrame = parquet.read_table(file, columns=wanted, partitioning=None).to_pandas(ignore_metadata=True)
    return frame


def _read_csv(file: Path, wanted: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    # pandas takes 0.85 s to import, and the configuration imports this module.
    import pandas as pd

    delimiter, columns = _header(file, wanted)
    types: dict[str, Any] = dict.fromkeys(texts, "str")  # as categories, 001 and 1 would be one class
    _refuse_missing(file, wanted, columns)
    _refuse_longer(file, len(columns), delimiter)
    return pd.read_csv(
        file,
        sep=delimiter,
        usecols=list(wanted),
        dtype=types,
        keep_default_na=False,
        na_values=list(NOTHING),
        low_memory=False,  # otherwise the parts of a long column may differ in type
    )


def _header(file: Path, wanted: Sequence[str]) -> tuple[str, list[str]]:
    """The separator of a CSV file, and its columns: a comma, unless the header is cut by another one."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        line = next((line for line in lines if line.strip()), "")
    columns = {delimiter: next(csv.reader([line], delimiter=delimiter), []) for delimiter in _delimiters(line)}
    fitting = [delimiter for delimiter, names in columns.items() if set(wanted) <= set(names)]
    found = (fitting or list(columns))[0]
    if not columns[found]:
        raise ValueError("the file is empty")
    return found, columns[found]


def _delimiters(line: str) -> list[str]:
    """The separators that may cut a line, the likeliest first."""
    try:
        sniffed = csv.Sniffer().sniff(line, delimiters=SEPARATORS).delimiter
    except csv.Error:
        return [","]
    return [",", sniffed] if "," in line else [sniffed]


def _refuse_longer(file: Path, num_columns: int, delimiter: str) -> None:
    """Raise `DataError` if a row has more cells than the header: `a.png,cat,dog` would be read as a cat.

    pandas finds such rows only when it reads all columns. A million rows take half a second.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for row, cells in enumerate(filter(None, csv.reader(lines, delimiter=delimiter))):
            if len(cells) > num_columns:
                name = {",": "comma", ";": "semicolon", "\t": "tab"}.get(delimiter, delimiter)
                raise DataError(
                    f"{file}: row {row} must have {plural(num_columns, 'cell')}, like the header, got {len(cells)}; "
                    f'put quotes around a cell with a {name}: "cat{delimiter}dog"'
                )


def _refuse_missing(file: Path, wanted: Sequence[str], columns: Sequence[str]) -> None:
    twice = [name for name in wanted if list(columns).count(name) > 1]
    if twice:
        raise DataError(f"{file} must have each column once, got {first_few(map(repr, twice))} more than once")
    missing = [name for name in wanted if name not in columns]
    if missing:
        similar = [near for name in missing if (near := nearest(name, columns))]
        named = "data.path_column and data.label_columns name columns, and data.class_mode=null needs no labels"
        fix = f"did you mean {', '.join(map(repr, similar))}?" if similar else named
        raise DataError(
            f"{file} must have the column{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}, "
            f"got {first_few(columns, most=MOST_COLUMNS)}; {fix}"
        )


def _is_empty(cell: Any) -> bool:
    import pandas as pd

    return (pd.api.types.is_scalar(cell) and bool(pd.isna(cell))) or str(cell).strip() in NOTHING
