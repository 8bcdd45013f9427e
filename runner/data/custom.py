"""`data=custom`: a class of the user's own that gives samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from runner.batch import ArraySpec
from runner.component import Arguments, DottedName
from runner.data.dataset import Data, Dataset, in_words_of
from runner.data.label_columns import ColumnModes
from runner.data.labels import Head
from runner.data.user_object import UserObject
from runner.data.user_samples import UserFiles, UserSamples, read_array
from runner.data.views import select
from runner.data.vocabulary import Known
from runner.errors import ConfigurationError, DataError
from runner.user_code import call, file_of, module_of


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
        kind = UserFiles if callable(getattr(given, "path", None)) else UserSamples
        samples = kind(given, ids, labels, ArraySpec(first.shape, first.dtype))
        file = file_of(module_of(self.target))
        sources = {split: select(samples, members) for split, members in rows.items()}
        return self.dataset(sources, labels.heads, (file,) if file else ())
