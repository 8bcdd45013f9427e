"""`data=custom`: a class of the user's own that gives samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from runner.components import Arguments, DottedName
from runner.errors import ConfigurationError, DataError
from runner.extensions import call, file_of, module_of
from runner.labels import Head, Labels
from runner.samples import Array, ArraySpec, Indices
from runner.sources.data import Data, Dataset, in_words_of
from runner.sources.label_columns import ColumnMode, ColumnModes, Reader, Target
from runner.sources.manifest import Manifest
from runner.sources.selection import select
from runner.sources.split_names import EXPECTED, SPLIT_NAMES
from runner.sources.told import some
from runner.sources.user_samples import UserFiles, UserSamples, read_array
from runner.sources.vocabulary import Known

LABEL = "label"
"""What labels that are not told apart by name are called in messages."""


class Custom(Data):
    """A class of yours with `__len__` and `read(index)`; with labels, ids, splits, `path(index)` where it has them."""

    kind: Literal["custom"] = "custom"

    target: DottedName
    """The class, my_module.MySource. `read(index)` gives an array, the same one each time, and to several threads.
    `labels`: a value per sample (a list of classes for multi_label, a row of numbers for raw), or a mapping of names
    to such columns. `ids`: a unique name per sample, else its number. `splits`: train, validation or test."""

    arguments: Arguments = Field(default={})
    """Arguments of the class."""

    class_mode: ColumnModes = "sparse"
    """What `y` is, as with data=dataframe; a mapping of names in `labels` to modes gives an output for each."""

    def names(self) -> Iterator[tuple[str, str]]:
        """The class, and what all data may name."""
        yield "target", self.target
        yield from super().names()

    def open(self) -> Dataset:
        """Make the object, take its ids, labels and splits, and read its first training sample.

        Raises `ConfigurationError` where the class lacks what it must have, `DataError` where what it gives does not
        fit.
        """
        return self._open({})

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """As `open`, with the heads of a model: the data may lack some of its classes.

        Raises `DataError` where a sample has a class that the model does not know.
        """
        return in_words_of(heads, self._open({head.name: head.class_names for head in heads}))

    def _open(self, known: Known) -> Dataset:
        given = call(self.target, "data", self.arguments)
        lacking = [name for name in ("__len__", "read") if not callable(getattr(given, name, None))]
        if lacking:
            raise ConfigurationError(
                f"data.target={self.target} must have __len__ and read(index), it lacks {' and '.join(lacking)}"
            )
        if not len(given):
            raise DataError(f"{self.target} must have samples, its __len__ is 0")
        ids, rows = self._ids(given), self._rows(given)
        labels = self._labels(given, rows["train"], known)
        first = self.first_readable(lambda index: read_array(given, index, ids[index]), rows["train"].tolist())
        kind = UserFiles if callable(getattr(given, "path", None)) else UserSamples
        samples = kind(given, ids, labels, ArraySpec(first.shape, first.dtype))
        file = file_of(module_of(self.target))
        sources = {split: select(samples, members) for split, members in rows.items()}
        return self.dataset(sources, labels.heads, (file,) if file else ())

    def _ids(self, given: Any) -> list[str]:
        ids = [str(name) for name in self._column(given, "ids", getattr(given, "ids", range(len(given))))]
        if len(set(ids)) < len(ids):
            repeated = [name for name, count in Counter(ids).items() if count > 1]
            twice = some(repeated[:5], len(repeated))
            raise DataError(f"{self.target}: ids must be another one for each sample, got in several: {twice}")
        return ids

    def _rows(self, given: Any) -> dict[str, Indices]:
        """The samples of each split that the object tells apart; all of them train where it tells none."""
        told = getattr(given, "splits", None)
        if told is None:
            return {"train": np.arange(len(given))}
        names = [SPLIT_NAMES.get(str(name), "") for name in self._column(given, "splits", told)]
        unknown = [str(name) for name in dict.fromkeys(map(str, told)) if name not in SPLIT_NAMES]
        if unknown or "train" not in names:
            got = some(unknown or dict.fromkeys(names))
            raise DataError(f"{self.target}: splits must be {EXPECTED}, some of them train, got {got}")
        array = np.array(names)
        return {name: np.flatnonzero(array == name) for name in dict.fromkeys(names)}

    def _labels(self, given: Any, training: Indices, known: Known) -> Labels:
        if self.class_mode is None:
            return Labels((), ())
        if self.class_mode == "input":
            return Labels((Head("", "input"),), (np.empty(0, np.int64),))
        targets = list(self._targets(given, training, known))
        return Labels(tuple(target.head for target in targets), tuple(target.column for target in targets))

    def _targets(self, given: Any, training: Indices, known: Known) -> Iterator[Target]:
        columns = self._columns(given)
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

    def _columns(self, given: Any) -> dict[str, Any]:
        labels = getattr(given, "labels", None)
        if labels is None:
            raise DataError(
                f"data.class_mode={self.class_mode} needs labels, and {self.target} has none; add the attribute "
                "labels, or choose data.class_mode=null or input"
            )
        columns = dict(labels) if isinstance(labels, Mapping) else {LABEL: labels}
        return {str(name): self._column(given, f"labels of {name}", column) for name, column in columns.items()}

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

    def _column(self, given: Any, what: str, column: Any) -> Sequence[Any] | Array:
        """A value per sample, of the object's attribute `what`."""
        if isinstance(column, str) or not hasattr(column, "__len__") or len(column) != len(given):
            got = len(column) if hasattr(column, "__len__") else f"an object of type {type(column).__name__}"
            raise DataError(f"{self.target}: {what} must have a value for each of {len(given):,} samples, got {got}")
        return column  # type: ignore[no-any-return]


def _series(column: Sequence[Any] | Array) -> Array:
    """A column of a table, of text and numbers as they are; several values of a sample are one cell."""
    if isinstance(column, np.ndarray) and column.ndim == 1:
        return column
    values = np.empty(len(column), object)
    for row, value in enumerate(column):
        values[row] = tuple(value) if isinstance(value, list | np.ndarray) else value
    return values
