"""Columns of a table as targets: classes or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from runner.batch import Array, Indices
from runner.data.cells import (
    SEPARATORS,
    SEVERAL,
    class_list,
    class_text,
    is_list,
    is_number,
    marks,
    number_text,
    with_decimal_point,
)
from runner.data.labels import ClassMode, Head, Known, class_head, codes_of, refuse_quantities, vocabulary
from runner.data.manifest import Manifest
from runner.errors import DataError
from runner.messages import plural

MULTI_LABEL = "; data.class_mode=multi_label reads several classes per sample"

SEPARATED = "separate classes by |, as in cat|dog"
NAMES_WITH_SPACES = "; write ['polar bear'] for a name with a space"

ColumnMode = Literal["categorical", "sparse", "binary", "multi_label", "raw"]
ColumnModes = (
    Literal["categorical", "sparse", "binary", "multi_label", "raw", "multi_output", "input", "mask"]
    | dict[str, ColumnMode]
    | None
)
"""Form of `y`: one mode for all columns, the sample itself, or a mapping of columns to modes."""


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
        texts, known = [class_text(cell) for cell in cells], self.known.get(name)
        self._refuse(column, codes, [not text.strip() for text in texts], "hold a class")
        several = [is_list(cell) and text not in (known or ()) for cell, text in zip(cells, texts, strict=True)]
        self._refuse(column, codes, several, f"hold one class for data.class_mode={mode}", MULTI_LABEL)
        names = known or vocabulary(texts[code] for code in np.unique(codes[self.training]))
        try:
            head = replace(class_head(mode, names)[0], name=name)
            if known is None:
                refuse_quantities(mode, names, len(self.training))
        except DataError as error:
            raise DataError(f"{self.manifest.file}, column {column!r}: {error}") from error
        if known is None:
            joined = [bool(SEVERAL.search(text)) and not set(names).isdisjoint(class_list(text)) for text in texts]
            self._refuse(column, codes, joined, f"hold one class for data.class_mode={mode}", MULTI_LABEL)
        else:  # earlier versions read 001 as 1
            texts = [text if text in names else number_text(text) for text in texts]
        classes = codes_of(texts, _numbered(names))[codes]
        self.manifest.refuse(np.flatnonzero(classes < 0), column, "hold a class of the training rows")
        return TargetColumn(head, classes)

    def _several(self, column: str, name: str) -> TargetColumn:
        """Any number of classes per cell."""
        codes, cells = self._distinct(column, "hold classes ([] for none)")
        known = self.known.get(name)
        members = self._members(column, codes, cells, known or ())
        if (rows := marks(members)) is not None:
            return self._marked(column, rows[codes], name)
        if len(set(map(len, members))) == 1:
            quantities = [len(named) > 1 and all(map(is_number, named)) for named in members]
            fix = "; data.class_mode=raw predicts numbers"
            self._refuse(column, codes, quantities, "hold names, or a 0 or 1 for each class", fix)
        in_training = np.unique(codes[self.training])
        names = known or vocabulary(member for code in in_training for member in members[code])
        if not names:
            raise DataError(f"{self.manifest.file}, column {column!r}, must hold classes, got none")
        if known is None:
            joined = {name for name in names if len(words := name.split()) > 1 and set(words) <= set(names)}
            spaced = [
                not (joined.isdisjoint(named) or is_list(cell)) for named, cell in zip(members, cells, strict=True)
            ]
            self._refuse(column, codes, spaced, SEPARATED, NAMES_WITH_SPACES)
        numbers = _numbered(names)
        unknown = [not numbers.keys() >= set(named) for named in members]
        self._refuse(column, codes, unknown, "hold only classes of the training rows")
        rows = np.zeros((len(members), len(names)), np.uint8)
        for row, named in zip(rows, members, strict=True):
            row[[numbers[member] for member in named]] = 1
        return TargetColumn(Head(name, "multi_label", tuple(names)), rows[codes])

    def _members(self, column: str, codes: Indices, cells: Sequence[Any], known: Sequence[str]) -> list[list[str]]:
        """The classes of each distinct cell."""
        members: list[list[str]] = []
        for code, cell in enumerate(cells):
            try:
                members.append([class_text(cell)] if class_text(cell) in known else class_list(cell))
            except ValueError as error:
                self.manifest.refuse(np.flatnonzero(codes == code), column, "list classes", f": {error}")
        texts = [class_text(cell) for cell in cells]
        if not any(is_list(cell) or SEPARATORS.search(text) for cell, text in zip(cells, texts, strict=True)):
            spaced = [len(text.split()) > 1 and text not in known for text in texts]
            self._refuse(column, codes, spaced, SEPARATED, NAMES_WITH_SPACES)
        return members

    def _marked(self, column: str, rows: Array, name: str) -> TargetColumn:
        """Rows of 0 and 1: the classes are numbered, unless a model names them."""
        names = self.known.get(name) or tuple(map(str, range(rows.shape[1])))
        if len(names) != rows.shape[1]:
            raise DataError(
                f"{self.manifest.file}, column {column!r}, must have a 0 or 1 for each of the model's "
                f"{plural(len(names), 'class', 'classes')} in each row, got {rows.shape[1]} values"
            )
        return TargetColumn(Head(name, "multi_label", names), rows)

    def _refuse(self, column: str, codes: Indices, wrong: Sequence[bool], must: str, fix: str = "") -> None:
        """Raise `DataError` for rows whose distinct cell is `wrong`."""
        self.manifest.refuse(np.flatnonzero(np.array(wrong, bool)[codes]), column, must, fix)

    def _distinct(self, column: str, must: str) -> tuple[Indices, list[Any]]:
        """The number of each row's cell among the distinct cells of a column, and the distinct cells."""
        import pandas as pd

        cells = self.manifest.table[column]
        if cells.dtype == object:  # lists, perhaps, which cannot be dictionary keys
            cells = pd.Series([_hashable(cell) for cell in cells], dtype=object)
        # A NumPy array, because pandas turns an index of tuples into a MultiIndex.
        codes, unique = pd.factorize(cells.to_numpy() if cells.dtype == object else cells)
        self.manifest.refuse(np.flatnonzero(codes < 0), column, must)
        return codes.astype(np.int64), list(unique)


def _hashable(cell: Any) -> Any:
    """A list as a tuple, at any depth."""
    return tuple(map(_hashable, cell)) if isinstance(cell, list | np.ndarray) else cell


def numbers(manifest: Manifest, column: str) -> Array:
    """A column of numbers, shape `(n,)`, float32.

    Raises `DataError` with row and column of a cell that is not a number, or does not fit float32.
    """
    import pandas as pd

    cells = manifest.table[column]
    if cells.dtype.kind in "mM":
        raise DataError(f"{manifest.file}, column {column!r}, must hold numbers, got dates or times ({cells.dtype})")
    if cells.dtype == object:
        lists = np.array([isinstance(cell, list | tuple | set | dict | np.ndarray) for cell in cells], bool)
        fix = "; give each number a column of its own, and data.label_columns=[…] their names"
        manifest.refuse(np.flatnonzero(lists), column, "hold a number", fix)
    exact = pd.to_numeric(manifest.table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        values: Array = exact.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong) and (point := with_decimal_point(str(cells.iloc[int(wrong[0])]))):
        manifest.refuse(wrong, column, "hold a number", f"; write a decimal point, {point}")
    manifest.refuse(wrong, column, "hold a number")
    return values


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: code for code, name in enumerate(names)}
