"""`data=npy`: one `.npy` file per sample, and JSON files that say which split and class each belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from runner.batch import Indices
from runner.component import File, Folder
from runner.data.dataset import Data, Dataset, in_words_of
from runner.data.ids import Ids
from runner.data.labels import NO_LABELS, ClassMode, Head, Labels, class_head
from runner.data.npy_files import NpyFiles
from runner.data.npy_format import open_npy
from runner.data.partition import Partition, read_labels, read_partition
from runner.data.vocabulary import Known, codes_of, vocabulary
from runner.errors import DataError
from runner.messages import some


class Npy(Data):
    """Arrays of any shape, one `.npy` file per id, listed in a partition and labelled by JSON files."""

    kind: Literal["npy"] = "npy"

    root: Folder
    """The folder that holds ID.npy for every id; an id may name folders: a/1 is a/1.npy."""

    partition: File = Path("partition.json")
    """The JSON file with the ids of each split: train, validation (or val), test."""

    labels: File = Path("labels.json")
    """The JSON file with the class of each id, a number or a name; not read where class_mode has no classes."""

    class_mode: ClassMode | None = "sparse"
    """What `y` is: sparse (class numbers), categorical (one-hot), binary, input (the sample), null (nothing)."""

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The folder and the files that do not exist."""
        if not self.root.is_dir():
            yield "root", self.root
        if not self.partition.is_file():
            yield "partition", self.partition
        if self._has_classes and not self.labels.is_file():
            yield "labels", self.labels

    def open(self) -> Dataset:
        """Read the JSON files, and the header of the first training file; no other file is looked at.

        Raises `DataError` if the JSON files are not as they must be, or do not fit each other.
        """
        return self._open({})

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """As `open`, with the heads of a model: the files may lack some of its classes.

        Raises `DataError` where an id has a class that the model does not know.
        """
        return in_words_of(heads, self._open({head.name: head.class_names for head in heads}))

    def array_settings(self) -> Mapping[str, Any]:
        """None: the file's values are the array."""
        return {}

    def _open(self, known: Known) -> Dataset:
        partition = read_partition(self.partition)
        heads, columns = self._labelled(partition, known)
        train = partition["train"]
        reader = self.first_readable(lambda index: open_npy(self.root / f"{train[index]}.npy"), range(len(train)))
        sources = {
            split: NpyFiles(self.root, Ids(ids), Labels(heads, (columns[split],)) if heads else NO_LABELS, reader)
            for split, ids in partition.items()
        }
        return self.dataset(sources, heads, (self.partition, self.labels) if self._has_classes else (self.partition,))

    @property
    def _has_classes(self) -> bool:
        return self.class_mode not in (None, "input")

    def _labelled(self, partition: Partition, known: Known) -> tuple[tuple[Head, ...], dict[str, Indices]]:
        if not self._has_classes:
            return class_head(self.class_mode, ()), dict.fromkeys(partition, np.empty(0, np.int64))
        names = read_labels(self.labels, partition)
        heads = class_head(self.class_mode, known.get("") or vocabulary(names["train"]))
        codes = {name: code for code, name in enumerate(heads[0].class_names)}
        columns = {split: codes_of(values, codes) for split, values in names.items()}
        for split, column in columns.items():
            _refuse_unknown(self.labels, partition[split], names[split], column)
        return heads, columns


def _refuse_unknown(file: Path, ids: Sequence[str], names: Sequence[str], column: Indices) -> None:
    """Raise `DataError` if an id has a class that was not to be learned."""
    unknown = np.flatnonzero(column < 0)
    if len(unknown):
        told = some((f"{names[index]!r} of {ids[index]!r}" for index in unknown[:5]), len(unknown))
        raise DataError(f"{file} must have only classes the training ids have, got {told}")
