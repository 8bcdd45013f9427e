"""The table that lists samples: a CSV or Parquet file, of which only the columns asked for are read."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.batch import Indices
from runner.errors import DataError
from runner.messages import nearest, some

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
            f"got {some(columns, most=SHOWN_COLUMNS)}; {mend}"
        )


def _shown(cell: Any) -> str:
    nothing = cell is None or cell != cell or str(cell) in NOTHING  # NaN is unlike itself
    return "nothing" if nothing else repr(str(cell))
