"""The table that lists samples: a CSV or Parquet file, of which only the columns asked for are read.

Columns of a manifest as labels: class codes, several classes a sample, numbers.
"""

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
from runner.messages import first_few, nearest

if TYPE_CHECKING:
    import pandas as pd

PARQUET = ".parquet"
NOTHING = ("", "nan", "NaN", "<NA>", "#N/A")
"""Cells of a CSV file that hold nothing; `NA`, `None` and `null` may be the name of a class."""

SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class Manifest:
    """The columns of `file` that matter; row 1 is the first below the header."""

    file: Path
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def refuse(self, rows: Indices, column: str, must: str) -> None:
        """Raise `DataError` if there are `rows` (indices) whose cell in `column` is not what it `must` be."""
        if not len(rows):
            return
        cell = self.table[column].iloc[int(rows[0])]
        others = f" (and {len(rows) - 1:,} more rows)" if len(rows) > 1 else ""
        raise DataError(f"{self.file}: row {rows[0] + 1}, column {column!r}, must {must}, got {_shown(cell)}{others}")


def read_manifest(file: Path, texts: Mapping[str, str], numbers: Sequence[str]) -> Manifest:
    """The columns `texts`, each with the kind of text it is for pandas (str, category), and `numbers`.

    Raises `DataError` if the file cannot be read or lacks one of the columns.
    """
    # pandas takes 0.85 s to import: the configuration must not wait for it.
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
            low_memory=False,  # else a long column may have another type in each part
        )
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{file} must be a CSV or Parquet file with a header: {error}") from error
    return Manifest(file, table)


def _refuse_longer(file: Path, num_columns: int) -> None:
    """Raise `DataError` if a row has more cells than the header: `a.png,cat,dog` would be read as a cat.

    pandas finds such rows only where it is asked for all columns. A million rows take half a second.
    """
    with file.open(encoding="utf-8", newline="") as lines:
        for row, cells in enumerate(filter(None, csv.reader(lines))):
            if len(cells) > num_columns:
                raise DataError(
                    f"{file}: row {row} must have {num_columns} cells, as the header, got {len(cells)}; "
                    'put quotes around a cell with a comma: "cat,dog"'
                )


def _parquet_columns(file: Path) -> list[str]:
    import pyarrow.parquet as parquet

    names: list[str] = parquet.read_schema(file).names
    return names


def _refuse_missing(file: Path, wanted: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in columns]
    if missing:
        meant = [near for name in missing if (near := nearest(name, columns))]
        mend = f"did you mean {', '.join(map(repr, meant))}?" if meant else "name its own with data.*_column(s)"
        raise DataError(
            f"{file} must have the column{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}, "
            f"got {first_few(columns, most=SHOWN_COLUMNS)}; {mend}"
        )


def _shown(cell: Any) -> str:
    nothing = cell is None or cell != cell or str(cell) in NOTHING  # NaN is unlike itself
    return "nothing" if nothing else repr(str(cell))


ColumnMode = Literal["categorical", "sparse", "binary", "multi_label", "raw"]
ColumnModes = (
    Literal["categorical", "sparse", "binary", "multi_label", "raw", "multi_output", "input"]
    | dict[str, ColumnMode]
    | None
)
"""What `y` is made of: all columns alike, the sample itself, or each column as its name is mapped."""

SEPARATORS = re.compile(r"[|,]")


@dataclass(frozen=True)
class Target:
    """A head, and its column of `Labels`."""

    head: Head
    column: Array


@dataclass(frozen=True)
class Reader:
    """Reads targets; `training` are the rows whose classes there are, unless they are `known`."""

    manifest: Manifest
    training: Indices
    known: Known

    def target(self, column: str, mode: ColumnMode, name: str) -> Target:
        """The target in one column.

        Raises `DataError` with row and column of a cell that is empty, no number, or of no class in training.
        """
        if mode == "raw":
            return Target(Head(name, "raw"), numbers(self.manifest, column))
        return self._several(column, name) if mode == "multi_label" else self._one(column, mode, name)

    def values(self, columns: Sequence[str]) -> Target:
        """The numbers of several columns as one target, shape `(n, columns)`."""
        stacked = np.stack([numbers(self.manifest, column) for column in columns], axis=1)
        return Target(Head("", "raw", value_names=tuple(columns)), stacked)

    def _one(self, column: str, mode: ClassMode, name: str) -> Target:
        """One class a cell."""
        codes, cells = self._distinct(column, "hold a class")
        texts = [_text(cell) for cell in cells]
        names = self.known.get(name) or vocabulary(texts[code] for code in np.unique(codes[self.training]))
        try:
            head = replace(class_head(mode, names)[0], name=name)
        except DataError as error:
            raise DataError(f"{self.manifest.file}, column {column!r}: {error}") from error
        classes = codes_of(texts, _numbered(names))[codes]
        self.manifest.refuse(np.flatnonzero(classes < 0), column, "hold a class of the training rows")
        return Target(head, classes)

    def _several(self, column: str, name: str) -> Target:
        """Any number of classes a cell."""
        codes, cells = self._distinct(column, "hold classes ([] for none)")
        members = [_members(cell) for cell in cells]
        in_training = np.unique(codes[self.training])
        names = self.known.get(name) or vocabulary(member for code in in_training for member in members[code])
        if not names:
            raise DataError(f"{self.manifest.file}, column {column!r}, must hold classes; it names none")
        known = _numbered(names)
        unknown = np.array([not known.keys() >= set(named) for named in members])
        self.manifest.refuse(np.flatnonzero(unknown[codes]), column, "hold only classes of the training rows")
        rows = np.zeros((len(members), len(names)), np.uint8)
        for row, named in zip(rows, members, strict=True):
            row[[known[member] for member in named]] = 1
        return Target(Head(name, "multi_label", tuple(names)), rows[codes])

    def _distinct(self, column: str, must: str) -> tuple[Indices, list[Any]]:
        """The different cells of a column, and the number of each row's cell among them."""
        import pandas as pd

        cells = self.manifest.table[column]
        if cells.dtype == object:  # lists, perhaps, which are no keys
            cells = pd.Series(
                [tuple(cell) if isinstance(cell, list | np.ndarray) else cell for cell in cells], dtype=object
            )
        # NumPy's array of objects: pandas would make an index of several levels of tuples.
        codes, unique = pd.factorize(cells.to_numpy() if cells.dtype == object else cells)
        self.manifest.refuse(np.flatnonzero(codes < 0), column, must)
        return codes.astype(np.int64), list(unique)


def numbers(manifest: Manifest, column: str) -> Array:
    """A column of numbers, shape `(n,)`, float32.

    Raises `DataError` with row and column of a cell that holds none, or one that float32 cannot hold.
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
    """The name of a class; a number that is whole has no decimal point, whatever its type."""
    return str(int(cell)) if isinstance(cell, float | np.floating) and float(cell).is_integer() else str(cell)


def _members(cell: Any) -> list[str]:
    """The classes of one cell: a list, or text like `cat|dog`, `cat, dog`, `['cat', 'dog']`, `[]`."""
    if isinstance(cell, tuple):
        return [_text(member) for member in cell]
    text = _text(cell).strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return [name for part in SEPARATORS.split(text) if (name := part.strip().strip("'\""))]
