"""The user's object of `data=custom`, whose ids, splits and labels are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array, Indices
from runner.data.division import EXPECTED, split_of
from runner.data.file_names import is_file_name
from runner.data.labels import Head, Known, Labels
from runner.data.manifest import Manifest
from runner.data.masks import MASK
from runner.data.numbers import numbers_head
from runner.data.table import ColumnMode, ColumnModes, TargetColumn, TargetReader
from runner.data.user_samples import FieldChoice
from runner.errors import ConfigurationError, DataError
from runner.messages import first_few, plural
from runner.user_code import error_text, kind_of

LABEL = "label"
"""The name of a single, unnamed column of labels in messages."""


@dataclass(frozen=True)
class UserObject:
    """The user's object, which `target` made; `class_mode` is the form of its labels.

    The methods raise `DataError` if an attribute of the object does not have one value per sample.
    """

    target: str
    instance: Any
    class_mode: ColumnModes
    value_names: tuple[str, ...] | None = None

    def num_samples(self) -> int:
        """The length of the object.

        Raises `ConfigurationError` if it is no whole number, `DataError` if it is 0.
        """
        try:
            length = len(self.instance)
        except Exception as error:
            raise ConfigurationError(
                f"{self.target}.__len__ must return the number of samples, a whole number of at least 0; it failed: "
                f"{error_text(error)}"
            ) from error
        if not length:
            raise DataError(f"{self.target} must have samples, but its __len__ is 0")
        return length

    def ids(self) -> list[str]:
        """Ids of the samples; their numbers if the object has no `ids`."""
        ids = [str(name) for name in self._column("ids", getattr(self.instance, "ids", range(len(self.instance))))]
        odd = [name for name in ids if not is_file_name(name)]
        if odd:
            raise DataError(f"{self.target}: ids must be text that a file can hold, got {first_few(map(repr, odd))}")
        if len(set(ids)) < len(ids):
            repeated = [name for name, count in Counter(ids).items() if count > 1]
            raise DataError(f"{self.target}: ids must be unique, got several times: {first_few(repeated)}")
        return ids

    def rows(self) -> dict[str, Indices]:
        """Indices of each split; all samples are for training if the object has no `splits`."""
        splits = getattr(self.instance, "splits", None)
        if splits is None:
            return {"train": np.arange(len(self.instance))}
        given = [str(name) for name in self._column("splits", splits)]
        known = {name: split_of(name) or "" for name in dict.fromkeys(given)}
        names, unknown = [known[name] for name in given], [name for name, split in known.items() if not split]
        if unknown or "train" not in names:
            got = first_few(unknown or dict.fromkeys(names))
            raise DataError(f"{self.target}: splits must be {EXPECTED}, with some train, got {got}")
        array = np.array(names)
        return {name: np.flatnonzero(array == name) for name in dict.fromkeys(names)}

    def labels(self, training: Indices, known: Known) -> Labels:
        """Labels of all samples. The classes are those of the `training` samples, or the `known` classes of a model."""
        if self.class_mode is None or self.class_mode == "mask":
            return Labels((), ())
        if self.class_mode == "input":
            return Labels((Head("", "input"),), (np.empty(0, np.int64),))
        targets = list(self._targets(training, known))
        return Labels(tuple(target.head for target in targets), tuple(target.column for target in targets))

    def _targets(self, training: Indices, known: Known) -> Iterator[TargetColumn]:
        columns = self._columns()
        rows = _rows_of_numbers(columns.get(LABEL)) if self.class_mode == "raw" else None
        if rows is not None:
            (head,) = numbers_head(rows.shape[1], self.value_names)
            named = head.value_names or (LABEL,)
            target = self._reader(dict(zip(named, rows.T, strict=True)), training, known).values(named)
            yield TargetColumn(head, target.column if head.value_names else target.column[:, 0])
            return
        if self.value_names is not None:
            raise DataError(
                f"{self.target}: data.value_names names rows of numbers, but labels have names of their own"
            )
        modes, reader = self._modes(columns), self._reader(columns, training, known)
        for name, mode in modes.items():
            self._refuse_several(name, mode, columns[name])
            yield reader.target(name, mode, name=name if len(modes) > 1 else "")

    def _refuse_several(self, name: str, mode: ColumnMode, column: Any) -> None:
        """Raise `DataError` for several values per sample outside of multi_label: each row would become one class."""
        if mode != "multi_label" and isinstance(column[0], list | tuple | np.ndarray) and np.ndim(column[0]):
            raise DataError(
                f"{self.target}: labels of {name} must be one value per sample for data.class_mode={mode}, got "
                f"{len(column[0])}; give class numbers or names, which categorical turns into one-hot rows; "
                "data.class_mode=multi_label reads rows of 0 and 1"
            )

    def _columns(self) -> dict[str, Any]:
        labels = getattr(self.instance, "labels", None)
        if labels is None:
            raise DataError(
                f"data.class_mode={self.class_mode} needs labels, and {self.target} has none; add the attribute "
                "labels, or set data.class_mode=null or input"
            )
        is_frame = hasattr(labels, "columns") and hasattr(labels, "items")
        columns = dict(labels.items()) if is_frame or isinstance(labels, Mapping) else {LABEL: labels}
        return {str(name): self._column(f"labels of {name}", column) for name, column in columns.items()}

    def _modes(self, columns: Mapping[str, Any]) -> dict[str, ColumnMode]:
        mode = self.class_mode
        if isinstance(mode, dict):
            missing = [name for name in mode if name not in columns]
            if missing:
                raise DataError(
                    f"data.class_mode must map names in {self.target}.labels, {first_few(columns)}, "
                    f"got {first_few(missing)}"
                )
            return mode
        if mode is None or mode == "input" or mode == "mask":
            return {}
        return dict.fromkeys(columns, "raw" if mode == "multi_output" else mode)

    def _reader(self, columns: Mapping[str, Any], training: Indices, known: Known) -> TargetReader:
        # pandas takes 0.85 s to import, and the configuration imports this module.
        import pandas as pd

        table = pd.DataFrame({name: _series(column) for name, column in columns.items()})
        return TargetReader(Manifest(Path(self.target), table), training, known)

    def _column(self, what: str, column: Any) -> Sequence[Any] | Array:
        """`column`, the attribute `what` of the object, as a list or array, if it has one value per sample."""
        if isinstance(column, str) or not hasattr(column, "__len__"):
            values, got = None, kind_of(column)
        else:
            values = self._plain(what, column)
            got = plural(len(values), "value")
        if values is None or len(values) != len(self.instance):
            samples = plural(len(self.instance), "sample")
            raise DataError(f"{self.target}: {what} must have one value for each of {samples}, got {got}")
        return values

    def _plain(self, what: str, column: Any) -> Sequence[Any] | Array:
        """A column by position: a pandas Series has an index of its own, a tensor has values that only it can read."""
        if not hasattr(column, "__array__") and not isinstance(column, range):
            column = list(column)
            if not any(hasattr(value, "__array__") or isinstance(value, bytes) for value in column):
                return column  # type: ignore[no-any-return]
        try:
            if not hasattr(column, "__array__"):
                return [_value(value) for value in column]
            array = np.asarray(column)
        except Exception as error:
            raise DataError(
                f"{self.target}: {what} must be a list or a NumPy array, got {kind_of(column)}, which cannot be read: "
                f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            ) from error
        return [_value(value) for value in array] if array.dtype.kind in "OS" else array


def target_of(instance: Any, called: str, class_mode: ColumnModes) -> str | None:
    """The array of a sample that is the target of class_mode=mask or raw; None where labels are the targets."""
    targets = getattr(instance, "targets", MASK if class_mode == "mask" else None)
    if class_mode not in ("mask", "raw") or targets is None:
        return None
    names = _names(targets)
    if len(names) != 1:
        raise DataError(f"{called}: targets must name one array of a sample, got {first_few(names)}")
    return names[0]


def fields_of(instance: Any, called: str, target: str | None) -> FieldChoice:
    """The arrays of a sample that are used: those in `inputs` of the object and the target, or all.

    Without a target, those that `targets` names are left out: a model is used on samples whose targets are not needed.
    """
    inputs = _names(getattr(instance, "inputs", ()))
    if target is None:
        return FieldChoice(tuple(inputs), tuple(_names(getattr(instance, "targets", ()))))
    if target in inputs:
        raise DataError(f"{called}: inputs must not name {target}, which is the target")
    return FieldChoice((*inputs, target) if inputs else ())


def _names(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(map(str, given))


def _value(value: Any) -> Any:
    """One value of a column: a tensor as plain values, bytes as text."""
    if hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic):
        value = np.asarray(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _series(column: Sequence[Any] | Array) -> Array:
    """A column of a table; several values of one sample become one cell, a tuple."""
    if isinstance(column, np.ndarray) and column.ndim == 1:
        return column
    values = np.empty(len(column), object)
    for row, value in enumerate(column):
        values[row] = tuple(value) if isinstance(value, list | np.ndarray) else value
    return values


def _rows_of_numbers(column: Sequence[Any] | Array | None) -> Array | None:
    """A column of numbers, or of rows of numbers, as a table, shape `(n, numbers)`; None for other labels."""
    try:
        table = np.asarray(column)
    except ValueError:  # rows of different lengths
        return None
    if table.dtype.kind not in "biuf" or table.ndim not in (1, 2):
        return None
    return table.reshape(len(table), -1)
