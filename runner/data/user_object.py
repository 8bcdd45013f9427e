"""What an object of the user's own tells of its samples: ids, splits and labels, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array, Indices
from runner.data.label_columns import ColumnMode, ColumnModes, Reader, Target
from runner.data.labels import Head, Labels
from runner.data.split_names import EXPECTED, SPLIT_NAMES
from runner.data.table import Manifest
from runner.data.vocabulary import Known
from runner.errors import DataError
from runner.messages import some

LABEL = "label"
"""What labels that are not told apart by name are called in messages."""


@dataclass(frozen=True)
class UserObject:
    """The object that `target` made, which has a length; `class_mode` says what its labels are.

    Whatever it tells must have a value per sample: `DataError` where it has not.
    """

    target: str
    given: Any
    class_mode: ColumnModes

    def ids(self) -> list[str]:
        """The samples' names; their numbers where the object tells none."""
        ids = [str(name) for name in self._column("ids", getattr(self.given, "ids", range(len(self.given))))]
        if len(set(ids)) < len(ids):
            repeated = [name for name, count in Counter(ids).items() if count > 1]
            twice = some(repeated[:5], len(repeated))
            raise DataError(f"{self.target}: ids must be another one for each sample, got in several: {twice}")
        return ids

    def rows(self) -> dict[str, Indices]:
        """The samples of each split that the object tells apart; all of them train where it tells none."""
        told = getattr(self.given, "splits", None)
        if told is None:
            return {"train": np.arange(len(self.given))}
        names = [SPLIT_NAMES.get(str(name), "") for name in self._column("splits", told)]
        unknown = [str(name) for name in dict.fromkeys(map(str, told)) if name not in SPLIT_NAMES]
        if unknown or "train" not in names:
            got = some(unknown or dict.fromkeys(names))
            raise DataError(f"{self.target}: splits must be {EXPECTED}, some of them train, got {got}")
        array = np.array(names)
        return {name: np.flatnonzero(array == name) for name in dict.fromkeys(names)}

    def labels(self, training: Indices, known: Known) -> Labels:
        """The labels of all samples; classes are those of the `training` samples, unless they are `known`."""
        if self.class_mode is None:
            return Labels((), ())
        if self.class_mode == "input":
            return Labels((Head("", "input"),), (np.empty(0, np.int64),))
        targets = list(self._targets(training, known))
        return Labels(tuple(target.head for target in targets), tuple(target.column for target in targets))

    def _targets(self, training: Indices, known: Known) -> Iterator[Target]:
        columns = self._columns()
        rows = columns.get(LABEL)
        if self.class_mode == "raw" and isinstance(rows, np.ndarray) and rows.ndim == 2:
            numbered = {str(number): column for number, column in enumerate(rows.T)}
            yield self._reader(numbered, training, known).values(tuple(numbered))
            return
        modes, reader = self._modes(columns), self._reader(columns, training, known)
        for name, mode in modes.items():
            self._refuse_several(name, mode, columns[name])
            yield reader.target(name, mode, name=name if len(modes) > 1 else "")

    def _refuse_several(self, name: str, mode: ColumnMode, column: Any) -> None:
        """Several values of a sample are classes of multi_label: one-hot rows would be read as classes of odd names."""
        if mode != "multi_label" and isinstance(column[0], list | tuple | np.ndarray) and np.ndim(column[0]):
            raise DataError(
                f"{self.target}: labels of {name} must be one value a sample for class_mode={mode}, got "
                f"{len(column[0])} of them; give class numbers or names, which categorical turns into one-hot rows"
            )

    def _columns(self) -> dict[str, Any]:
        labels = getattr(self.given, "labels", None)
        if labels is None:
            raise DataError(
                f"data.class_mode={self.class_mode} needs labels, and {self.target} has none; add the attribute "
                "labels, or choose data.class_mode=null or input"
            )
        columns = dict(labels) if isinstance(labels, Mapping) else {LABEL: labels}
        return {str(name): self._column(f"labels of {name}", column) for name, column in columns.items()}

    def _modes(self, columns: Mapping[str, Any]) -> dict[str, ColumnMode]:
        mode = self.class_mode
        if isinstance(mode, dict):
            missing = [name for name in mode if name not in columns]
            if missing:
                raise DataError(
                    f"data.class_mode must map names in {self.target}.labels, {some(columns)}, got {some(missing)}"
                )
            return mode
        if mode is None or mode == "input":
            return {}
        return dict.fromkeys(columns, "raw" if mode == "multi_output" else mode)

    def _reader(self, columns: Mapping[str, Any], training: Indices, known: Known) -> Reader:
        # pandas takes 0.85 s to import: the configuration must not wait for it.
        import pandas as pd

        table = pd.DataFrame({name: _series(column) for name, column in columns.items()})
        return Reader(Manifest(Path(self.target), table), training, known)

    def _column(self, what: str, column: Any) -> Sequence[Any] | Array:
        """A value per sample, of the object's attribute `what`."""
        if isinstance(column, str) or not hasattr(column, "__len__") or len(column) != len(self.given):
            got = len(column) if hasattr(column, "__len__") else f"an object of type {type(column).__name__}"
            count = f"{len(self.given):,} samples"
            raise DataError(f"{self.target}: {what} must have a value for each of {count}, got {got}")
        return column  # type: ignore[no-any-return]


def _series(column: Sequence[Any] | Array) -> Array:
    """A column of a table, of text and numbers as they are; several values of a sample are one cell."""
    if isinstance(column, np.ndarray) and column.ndim == 1:
        return column
    values = np.empty(len(column), object)
    for row, value in enumerate(column):
        values[row] = tuple(value) if isinstance(value, list | np.ndarray) else value
    return values
