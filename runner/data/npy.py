"""`data=npy`: one `.npy` file per sample, and JSON files with the split and the class of each id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import model_validator

from runner.batch import Array, Indices
from runner.component import File, Folder, is_file, is_folder
from runner.data.dataset import Data, Dataset, relabel_splits
from runner.data.file_names import as_on_disk
from runner.data.ids import Ids
from runner.data.labels import (
    NO_LABELS,
    ClassMode,
    Head,
    Known,
    Labels,
    MaskMode,
    NumberMode,
    class_head,
    codes_of,
    refuse_quantities,
    vocabulary,
)
from runner.data.masks import FIRST_MASKS, IMAGE, MASK, MaskSettings, mask_labels
from runner.data.numbers import SAMPLE, TARGET, NumberSettings, numbers_head
from runner.data.places import FilePlaces
from runner.data.stored_samples import StoredSamples, file_samples
from runner.errors import DataError
from runner.messages import first_few

if TYPE_CHECKING:
    from runner.data.partition import Partition

SUFFIX = ".npy"


class Npy(Data, MaskSettings, NumberSettings):
    """Arrays of any shape in one `.npy` file per id; JSON files list the ids of each split and their labels."""

    kind: Literal["npy"] = "npy"

    root: Folder
    """The folder that holds ID.npy for every id; an id may contain folders: a/1 is a/1.npy."""

    partition: File = Path("partition.json")
    """The JSON file with the ids of each split: train, validation (or val), test."""

    labels: File = Path("labels.json")
    """The JSON file with the label of each id: a class, as a number or a name, or for class_mode=raw a number or a list
    of numbers; not read if class_mode is input or null."""

    class_mode: ClassMode | NumberMode | MaskMode | None = "sparse"
    """Form of `y`: sparse (class numbers), categorical (one-hot), binary, raw (one number, a row of them, or an
    array of `targets`), mask (a class for each pixel), input (the sample), null (nothing)."""

    masks: Folder | None = None
    """The folder that holds the mask ID.npy for every id, of shape height×width, for class_mode=mask."""

    targets: Folder | None = None
    """The folder of an array ID.npy of any shape for every id, for class_mode=raw; null: numbers in `labels`."""

    @model_validator(mode="after")
    def _targets_have_an_effect(self) -> Self:
        if self.targets is not None and self.class_mode not in ("raw", None):
            raise ValueError(f"targets must be null with class_mode={self.class_mode}, got {self.targets}")
        if self.targets is not None and self.value_names is not None:
            raise ValueError("value_names must be null with targets, whose values have no names")
        return self

    @model_validator(mode="after")
    def _masks_are_somewhere(self) -> Self:
        if self.class_mode == "mask" and self.masks is None:
            raise ValueError("masks must be the folder of the masks with class_mode=mask, got null")
        return self

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """Keys whose folder or file does not exist, with its path."""
        if not is_folder(self.root):
            yield "root", self.root
        if not is_file(self.partition):
            yield "partition", self.partition
        if self._has_labels and not is_file(self.labels):
            yield "labels", self.labels
        for key in ("masks", "targets"):
            folder: Path | None = getattr(self, key)
            if folder is not None and not is_folder(folder):
                yield key, folder

    def open(self) -> Dataset:
        """Read the JSON files and the header of the first training file.

        Raises `DataError` if the JSON files are invalid or do not fit each other.
        """
        return self._open({})

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; it may have samples of only some of its classes.

        Raises `DataError` if an id has a class that is unknown to the model.
        """
        return relabel_splits(self._open({head.name: head.class_names for head in heads}), heads)

    def array_settings(self) -> Mapping[str, Any]:
        """The settings of the codes of masks; others hold the values of the file."""
        return self.mask_settings()

    def _open(self, known: Known) -> Dataset:
        from runner.data.partition import read_partition

        partition = read_partition(self.partition)
        if (mode := self.class_mode) == "mask":
            return self._open_masks(partition, known.get("", ()))
        if mode == "raw" and self.targets is not None:
            return self._open_arrays(partition, self.targets)
        heads, columns = self._encoded(mode, partition, known)
        labels = {split: Labels(heads, (columns[split],)) if heads else NO_LABELS for split in partition}
        sources = self._files(self.root, partition, labels)
        return self.dataset(sources, heads, (self.partition, self.labels) if self._has_labels else (self.partition,))

    def _files(self, folder: Path, partition: Partition, labels: Mapping[str, Labels]) -> dict[str, StoredSamples]:
        """The files of each split in `folder`; all are like the first training file that can be read."""
        from runner.data.npy_format import open_npy

        listed = {split: as_on_disk(folder, Ids(names), SUFFIX) for split, names in partition.items()}
        train = listed["train"]
        files = FilePlaces(folder, train, SUFFIX)
        decoder = self.first_readable(lambda index: open_npy(files[index]), range(len(train)))
        return {split: file_samples(folder, ids, labels[split], decoder, SUFFIX) for split, ids in listed.items()}

    def _open_masks(self, partition: Partition, known: tuple[str, ...]) -> Dataset:
        from runner.data.target_arrays import SideBySide, refuse_other_sides, whole_numbers, with_masks

        unlabelled = dict.fromkeys(partition, NO_LABELS)
        samples = self._files(self.root, partition, unlabelled)
        masks = self._files(Path(str(self.masks)), partition, unlabelled)
        pairs = {split: SideBySide({IMAGE: samples[split], MASK: masks[split]}) for split in partition}
        refuse_other_sides(pairs["train"].spec, MASK, f"masks in {self.masks}")
        first = range(min(FIRST_MASKS, len(masks["train"])))
        classes = self.mask_classes(known, lambda: [whole_numbers(masks["train"].read(index)) for index in first])
        labels = mask_labels(classes)
        sources = {split: with_masks(pair, classes, labels) for split, pair in pairs.items()}
        return self.dataset(sources, labels.heads, (self.partition,))

    def _open_arrays(self, partition: Partition, folder: Path) -> Dataset:
        from runner.data.target_arrays import SideBySide, with_array_target

        unlabelled = dict.fromkeys(partition, NO_LABELS)
        samples, targets = self._files(self.root, partition, unlabelled), self._files(folder, partition, unlabelled)
        pairs = {split: SideBySide({SAMPLE: samples[split], TARGET: targets[split]}) for split in partition}
        sources = {split: with_array_target(pair, TARGET) for split, pair in pairs.items()}
        return self.dataset(sources, sources["train"].labels.heads, (self.partition,))

    @property
    def _has_labels(self) -> bool:
        return self.class_mode not in (None, "input", "mask") and self.targets is None

    def _encoded(
        self, mode: ClassMode | NumberMode | None, partition: Partition, known: Known
    ) -> tuple[tuple[Head, ...], Mapping[str, Array]]:
        from runner.data.partition import read_labels, read_numbers

        if mode == "raw":
            columns = read_numbers(self.labels, partition)
            return numbers_head(columns["train"][0].size, self.value_names), columns
        if mode is None or mode == "input":
            return class_head(mode, ()), dict.fromkeys(partition, np.empty(0, np.int64))
        names = read_labels(self.labels, partition)
        heads = class_head(mode, known.get("") or vocabulary(names["train"]))
        if not known:
            refuse_quantities(mode, heads[0].class_names, len(names["train"]))
        codes = {name: code for code, name in enumerate(heads[0].class_names)}
        coded = {split: codes_of(values, codes) for split, values in names.items()}
        for split, column in coded.items():
            _refuse_unknown(self.labels, partition[split], names[split], column)
        return heads, coded


def _refuse_unknown(file: Path, ids: Sequence[str], names: Sequence[str], column: Indices) -> None:
    """Raise `DataError` if an id has a class that no training id has."""
    unknown = np.flatnonzero(column < 0)
    if len(unknown):
        found = first_few((f"{names[index]!r} of {ids[index]!r}" for index in unknown[:5]), len(unknown))
        raise DataError(f"{file} must have only classes of the training ids, got {found}")
