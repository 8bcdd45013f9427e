"""The rows of each split of a table, by its columns of splits and of folds, and their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runner.batch import Indices
from runner.data.cells import class_text
from runner.data.division import EXPECTED, split_of
from runner.data.groups import Groups
from runner.data.manifest import Manifest
from runner.errors import DataError
from runner.messages import did_you_mean, first_few


def splits(manifest: Manifest, column: str) -> dict[str, Indices]:
    """The rows of each split that a column names.

    Raises `DataError` with row and column of a cell that names none, and for a table without rows to train on.
    """
    cells = manifest.table[column]
    named = cells.map({name: split_of(name) for name in cells.unique()})
    manifest.refuse(np.flatnonzero(named.isna()), column, f"hold one of {EXPECTED}")
    rows = {split: np.flatnonzero(named == split) for split in named.unique()}
    if "train" not in rows:
        raise DataError(f"{manifest.file}, column {column!r}, must have train rows, got only {first_few(rows)}")
    return rows


def of_classes(manifest: Manifest, column: str, classes: Sequence[str]) -> tuple[Manifest, list[str]]:
    """The table without rows of other classes, and the names of these; rows without a class stay."""
    texts = manifest.table[column].map(class_text, na_action="ignore")
    others = ~(texts.isin(list(classes)) | texts.isna())
    return manifest.keep(np.flatnonzero(~others)), texts[others].tolist()


def refuse_absent(manifest: Manifest, column: str, classes: Sequence[str]) -> None:
    """Raise `DataError` for classes that no row has."""
    known = set(manifest.table[column].map(class_text, na_action="ignore").dropna())
    for name in classes:
        if name not in known:
            raise DataError(
                f"data.classes must name classes of column {column!r} of {manifest.file} ({first_few(sorted(known))}), "
                f"got {name}{did_you_mean(name, known)}"
            )


def folds(manifest: Manifest, column: str, rows: Mapping[str, Indices], fold: int) -> dict[str, Indices]:
    """The training rows in a fold, which a column numbers, for validation, and those in the others for training.

    Raises `DataError` with row and column of a cell that is no number of a fold, for a fold without rows, and for data
    that has a validation split.
    """
    if "validation" in rows:
        raise DataError(f"data.fold_column={column} divides the rows to train on, but the table has validation rows")
    cells, train = manifest.table[column], rows["train"]
    numbers = np.array([_fold_number(cell) for cell in cells.iloc[train]], np.int64)
    manifest.refuse(train[numbers < 0], column, "hold the number of a fold, from 0 on")
    if not (numbers == fold).any() or (numbers == fold).all():
        known = first_few(map(str, np.unique(numbers).tolist()))
        raise DataError(
            f"{manifest.file}, column {column!r}, must have rows of fold {fold} and of others, got fold {known}; set "
            "data.fold"
        )
    return {"train": train[numbers != fold], "validation": train[numbers == fold]}


def _fold_number(cell: Any) -> int:
    text = str(cell).strip().removesuffix(".0")  # whole numbers with empty cells among them are read as fractions
    return int(text) if text.isdecimal() else -1


def groups(manifest: Manifest, column: str, rows: Mapping[str, Indices]) -> dict[str, Groups]:
    """The groups of the rows of each split, which a column names.

    Raises `DataError` with row and column of an empty cell.
    """
    cells = manifest.table[column]
    empty = cells.isna() | (cells.astype(str).str.strip() == "")
    manifest.refuse(np.flatnonzero(empty), column, "hold a group")
    return {split: Groups.of(cells.iloc[members].astype(str).tolist()) for split, members in rows.items()}
