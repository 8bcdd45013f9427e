"""`data=custom`: a class of the user's own that gives samples.

What an object of the user's own tells of its samples: ids, splits and labels, checked.

Samples that an object of the user's own reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from runner.batch import Array, ArraySpec, Indices
from runner.component import Arguments, DottedName
from runner.data.dataset import Data, Dataset, in_words_of
from runner.data.labels import Head, Known, Labels
from runner.data.source import Source
from runner.data.splits import EXPECTED, SPLIT_NAMES
from runner.data.table import ColumnMode, ColumnModes, Manifest, Reader, Target
from runner.data.views import select
from runner.errors import BadSampleError, ConfigurationError, DataError, UserReadError
from runner.messages import first_few
from runner.user_code import call, file_of, module_of, told

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
            twice = first_few(repeated[:5], len(repeated))
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
            got = first_few(unknown or dict.fromkeys(names))
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
                    f"data.class_mode must map names in {self.target}.labels, {first_few(columns)}, "
                    f"got {first_few(missing)}"
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


OF_THE_SAMPLE = (OSError, EOFError, ValueError, BadSampleError)
"""What reading raises over a file that is missing, cut off or damaged; anything else is a mistake in the code."""


@dataclass(frozen=True)
class UserSamples(Source):
    """What `given.read(index)` returns, checked: every sample must be like the first.

    It travels to worker processes by pickle with the object; `read` is called by several threads at once.
    """

    given: Any
    ids: list[str]
    labels: Labels
    spec: ArraySpec

    def path(self, index: int) -> Path | None:
        """The file of sample `index`, if the object has `path(index)`."""
        path = getattr(self.given, "path", None)
        return Path(path(index)) if callable(path) else None

    def read(self, index: int, out: Array | None = None) -> Array:
        """Sample `index`; float64 becomes float32."""
        array = read_array(self.given, index, self.ids[index])
        spec = ArraySpec(array.shape, array.dtype)
        if spec != self.spec:
            raise BadSampleError(
                self.ids[index],
                f"read({index}) must return an array like that of the first sample, {self.spec}, got {spec}",
            )
        if out is None:
            return array.copy()
        out[...] = array
        return out


def read_array(given: Any, index: int, name: str) -> Array:
    """What `given` reads, as an array of numbers of at most float32.

    Raises `BadSampleError`, naming the sample, whatever goes wrong; `UserReadError` if the sample is not to blame.
    """
    try:
        array = np.asarray(given.read(index))
    except Exception as error:
        kind = BadSampleError if isinstance(error, OF_THE_SAMPLE) else UserReadError
        raise kind(name, f"read({index}) failed: {told(error)}") from error
    if array.dtype.kind not in "biuf":
        raise BadSampleError(name, f"read({index}) must return an array of numbers, got one of {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float64 else array


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
        told = UserObject(self.target, given, self.class_mode)
        ids, rows = told.ids(), told.rows()
        labels = told.labels(rows["train"], known)
        first = self.first_readable(lambda index: read_array(given, index, ids[index]), rows["train"].tolist())
        samples = UserSamples(given, ids, labels, ArraySpec(first.shape, first.dtype))
        file = file_of(module_of(self.target))
        sources = {split: select(samples, members) for split, members in rows.items()}
        return self.dataset(sources, labels.heads, (file,) if file else ())
