"""Manifest: the CSV or Parquet table that lists samples; and its columns as targets: classes or numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from runner.batch import Array, Indices
from runner.data.labels import ClassMode, Head, Known, class_head, codes_of, vocabulary
from runner.errors import DataError
from runner.messages import first_few, nearest, plural

if TYPE_CHECKING:
    import pandas as pd

PARQUET = ".parquet"
NOTHING = ("", "nan", "NaN", "<NA>", "#N/A")
"""Cells of a CSV file that count as empty; `NA`, `None` and `null` do not, as they may name a class."""

MOST_COLUMNS = 20
"""Columns that a message names."""


@dataclass(frozen=True)
class Manifest:
    """The columns of `file` that are used; row 1 is the first below the header."""

    file: Path
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def refuse(self, rows: Indices, column: str, must: str) -> None:
        """Raise `DataError` for `rows` (indices), if any: their cell in `column` is not what it `must` be."""
        if not len(rows):
            return
        cell = self.table[column].iloc[int(rows[0])]
        others = f" (and {plural(len(rows) - 1, 'more row')})" if len(rows) > 1 else ""
        found = "nothing" if _is_empty(cell) else repr(str(cell))
        raise DataError(f"{self.file}: row {rows[0] + 1}, column {column!r}, must {must}, got {found}{others}")


def read_manifest(file: Path, texts: Mapping[str, str], numbers: Sequence[str]) -> Manifest:
    """Read the columns of text `texts`, mapped to their pandas dtype (str, category), and the columns `numbers`.

    Raises `DataError` if the file cannot be read or lacks one of the columns.
    """
    # pandas takes 0.85 s to import, and the configuration imports this module.
    import pandas as pd

    wanted = list(dict.fromkeys((*texts, *numbers)))
    try:
        if file.suffix.lower() == PARQUET:
            _refuse_missing(file, wanted, _parquet_columns(file))
            return Manifest(file, pd.read_parquet(file, columns=wanted, engine="pyarrow"))
        columns = [str(name) for name in pd.read_csv(file, nrows=0)]
        _refuse_missing(file, wanted, columns)
        _refuse_longer(file, len(columns))
        table = pd.read_csv(
            file,
            usecols=wanted,
            dtype=dict(texts),
            keep_default_na=False,
            na_values=list(NOTHING),
            low_memory=False,  # otherwise the parts of a long column may differ in type
        )
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{file} must be a CSV or Parquet file with a header: {error}") from error
    return Manifest(file, table)


def _refuse_longer(file: Path, num_columns: int) -> None:
    """Raise `DataError` if a row has more cells than the header: `a.png,cat,dog` would be read as a cat.

    pandas finds such rows only when it reads all columns. A million rows take half a second.
    """
    with file.open(encoding="utf-8", newline="") as lines:
        for row, cells in enumerate(filter(None, csv.reader(lines))):
            if len(cells) > num_columns:
                raise DataError(
                    f"{file}: row {row} must have {plural(num_columns, 'cell')}, like the header, got {len(cells)}; "
                    'put quotes around a cell with a comma: "cat,dog"'
                )


def _parquet_columns(file: Path) -> list[str]:
    import pyarrow.parquet as parquet

    names: list[str] = parquet.read_schema(file).names
    return names


def _refuse_missing(file: Path, wanted: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in columns]
    if missing:
        similar = [near for name in missing if (near := nearest(name, columns))]
        fix = f"did you mean {', '.join(map(repr, similar))}?" if similar else "set data.*_column(s) to its columns"
        raise DataError(
            f"{file} must have the column{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}, "
            f"got {first_few(columns, most=MOST_COLUMNS)}; {fix}"
        )


def _is_empty(cell: Any) -> bool:
    return cell is None or cell != cell or str(cell) in NOTHING  # NaN differs from itself


ColumnMode = Literal["categorical", "sparse", "binary", "multi_label", "raw"]
ColumnModes = (
    Literal["categorical", "sparse", "binary", "multi_label", "raw", "multi_output", "input"]
    | dict[str, ColumnMode]
    | None
)
"""Form of `y`: one mode for all columns, the sample itself, or a mapping of columns to modes."""

SEPARATORS = re.compile(r"[|,]")


@dataclass(frozen=True)
class TargetColumn:
    """A head and its column of `Labels`."""

    head: Head
    column: Array


@dataclass(frozen=True)
class TargetReader:
    """Reads targets. The classes are those of the `training` rows, or the `known` classes of a model."""

    manifest: Manifest
    training: Indices
    known: Known

    def target(self, column: str, mode: ColumnMode, name: str) -> TargetColumn:
        """The target in one column.

        Raises `DataError` with row and column of a cell that is empty, not a number, or of an unknown class.
        """
        if mode == "raw":
            return TargetColumn(Head(name, "raw"), numbers(self.manifest, column))
        return self._several(column, name) if mode == "multi_label" else self._one(column, mode, name)

    def values(self, columns: Sequence[str]) -> TargetColumn:
        """The numbers of several columns as one target, shape `(n, columns)`."""
        stacked = np.stack([numbers(self.manifest, column) for column in columns], axis=1)
        return TargetColumn(Head("", "raw", value_names=tuple(columns)), stacked)

    def _one(self, column: str, mode: ClassMode, name: str) -> TargetColumn:
        """One class per cell."""
        codes, cells = self._distinct(column, "hold a class")
        texts = [_text(cell) for cell in cells]
        names = self.known.get(name) or vocabulary(texts[code] for code in np.unique(codes[self.training]))
        try:
            head = replace(class_head(mode, names)[0], name=name)
        except DataError as error:
            raise DataError(f"{self.manifest.file}, column {column!r}: {error}") from error
        classes = codes_of(texts, _numbered(names))[codes]
        self.manifest.refuse(np.flatnonzero(classes < 0), column, "hold a class of the training rows")
        return TargetColumn(head, classes)

    def _several(self, column: str, name: str) -> TargetColumn:
        """Any number of classes per cell."""
        codes, cells = self._distinct(column, "hold classes ([] for none)")
        members = [_cell_classes(cell) for cell in cells]
        in_training = np.unique(codes[self.training])
        names = self.known.get(name) or vocabulary(member for code in in_training for member in members[code])
        if not names:
            raise DataError(f"{self.manifest.file}, column {column!r}, must hold classes, got none")
        known = _numbered(names)
        unknown = np.array([not known.keys() >= set(named) for named in members])
        self.manifest.refuse(np.flatnonzero(unknown[codes]), column, "hold only classes of the training rows")
        rows = np.zeros((len(members), len(names)), np.uint8)
        for row, named in zip(rows, members, strict=True):
            row[[known[member] for member in named]] = 1
        return TargetColumn(Head(name, "multi_label", tuple(names)), rows[codes])

    def _distinct(self, column: str, must: str) -> tuple[Indices, list[Any]]:
        """The number of each row's cell among the distinct cells of a column, and the distinct cells."""
        import pandas as pd

        cells = self.manifest.table[column]
        if cells.dtype == object:  # lists, perhaps, which cannot be dictionary keys
            cells = pd.Series(
                [tuple(cell) if isinstance(cell, list | np.ndarray) else cell for cell in cells], dtype=object
            )
        # A NumPy array, because pandas turns an index of tuples into a MultiIndex.
        codes, unique = pd.factorize(cells.to_numpy() if cells.dtype == object else cells)
        self.manifest.refuse(np.flatnonzero(codes < 0), column, must)
        return codes.astype(np.int64), list(unique)


def numbers(manifest: Manifest, column: str) -> Array:
    """A column of numbers, shape `(n,)`, float32.

    Raises `DataError` with row and column of a cell that is not a number, or does not fit float32.
    """
    import pandas as pd

    exact = pd.to_numeric(manifest.table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        values: Array = exact.astype(np.float32)
    manifest.refuse(np.flatnonzero(~np.isfinite(values)), column, "hold a number")
    return values


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: code for code, name in enumerate(names)}


def _text(cell: Any) -> str:
    """The name of a class; a whole number has no decimal point, whatever its type."""
    return str(int(cell)) if isinstance(cell, float | np.floating) and float(cell).is_integer() else str(cell)


def _cell_classes(cell: Any) -> list[str]:
    """Classes of one cell: a list, or text such as `cat|dog`, `cat, dog`, `['cat', 'dog']`, `[]`."""
    if isinstance(cell, tuple):
        return [_text(member) for member in cell]
    text = _text(cell).strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return [name for part in SEPARATORS.split(text) if (name := part.strip().strip("'\""))]
