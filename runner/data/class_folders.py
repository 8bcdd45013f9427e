"""Base of data that is image files in one folder per class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
from pydantic import model_validator

from runner.component import Folder, Names
from runner.data.class_files import SplitFiles, list_files, refuse_missing, refuse_shared, refuse_unknown
from runner.data.dataset import Data, Dataset
from runner.data.ids import Ids
from runner.data.image_files import list_folders, list_loose_images
from runner.data.labels import NO_LABELS, ClassMode, Head, Labels, class_head, vocabulary
from runner.data.split_folders import SplitFolders
from runner.data.stored_samples import StoredSamples, file_samples
from runner.errors import DataError
from runner.images import ImageSettings
from runner.images.decoder import Decoder
from runner.messages import first_few, plural


class ClassFolders(Data, ImageSettings):
    """Image files in class folders, nested to any depth."""

    root: Folder
    """The folder that holds the class folders."""

    class_mode: ClassMode | None = "categorical"
    """Form of `y`: categorical (one-hot), sparse (class numbers), binary, input (the image), null (nothing)."""

    classes: Names | None = None
    """Class folders to use, in the order of their class numbers; null: all, sorted by name, or by size if
    all names are numbers."""

    @model_validator(mode="after")
    def _each_class_once(self) -> Self:
        repeated = [name for name in dict.fromkeys(self.classes or ()) if (self.classes or ()).count(name) > 1]
        if repeated:
            raise ValueError(f"classes must name each class folder once, got {first_few(repeated)} more than once")
        return self

    @abstractmethod
    def split_folders(self) -> SplitFolders:
        """The folder of each split; only `train` if the data has no splits of its own."""

    def open(self) -> Dataset:
        """List the files and split them; reads the header of one file to learn its bit depth.

        Raises `DataError` if there are no images, or no class folders and the class mode needs them.
        """
        return self._open()

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; folders of some of its classes may be missing.

        Raises `DataError` if there is a class folder that is unknown to the model.
        """
        named = len(heads) == 1 and bool(heads[0].class_names)
        if named and self._has_classes and self.classes in (None, heads[0].class_names):
            return self._open(heads)
        return super().open_for(heads)

    def _open(self, known: tuple[Head, ...] | None = None) -> Dataset:
        # Imported here because decoders are slow to import and the configuration imports this module.
        from runner.images.exact import orientation_notes
        from runner.images.fast import FIRST, open_decoder

        found = self.split_folders()
        folders = found.folders
        classes = known[0].class_names if known else self._class_names(folders["train"])
        listed = {split: self._list(folder, classes) for split, folder in folders.items()}
        refuse_shared(listed.values())
        decoder = open_decoder(self, *_first_images(folders["train"], listed["train"].images[:FIRST]))
        heads = known or class_head(self.class_mode, classes)
        sources = {split: self._source(files, heads=heads, decoder=decoder) for split, files in listed.items()}
        dataset = self.dataset(sources, heads)
        notes = self.notes(listed, () if known else classes)
        turned = orientation_notes(folders["train"], listed["train"].images)
        return replace(dataset, notes=(*found.notes, *notes, *turned, *dataset.notes))

    def array_settings(self) -> Mapping[str, Any]:
        """The settings of the pixels."""
        return self.pixel_settings()

    def notes(self, listed: Mapping[str, SplitFiles], classes: tuple[str, ...]) -> Iterator[str]:
        """Notes on files that are not read, and on the order of `classes`."""
        folders = [files.folder for files in listed.values()]
        unsorted = set() if self.classes or self._has_classes else set(folders)
        for folder in dict.fromkeys((self.root, *folders)):
            if folder not in unsorted and (loose := list_loose_images(folder)):
                left_out = f"{plural(len(loose), 'image')} directly in {folder}, outside of the class folders"
                yield f"{left_out}, {'are' if len(loose) > 1 else 'is'} left out: {first_few(loose)}"
        for files in listed.values():
            yield from files.notes()
        by_name = sorted(classes)
        if self.classes is None and list(classes) != by_name:
            yield (
                f"classes are ordered by number ({first_few(classes, most=3)}), where Keras orders folders as text "
                f"({first_few(by_name, most=3)}); data.classes=[…] sets another order"
            )

    @property
    def _has_classes(self) -> bool:
        return self.class_mode not in (None, "input")

    def _class_names(self, folder: Path) -> tuple[str, ...]:
        if self.classes is not None:
            refuse_missing(folder, self.classes)
            return self.classes
        if not self._has_classes:
            return ()
        return vocabulary(list_folders(folder) or _refuse_flat(folder))

    def _list(self, folder: Path, classes: tuple[str, ...]) -> SplitFiles:
        if self._has_classes and self.classes is None:
            refuse_unknown(folder, classes)
        # Samples keep their order, which the seed shuffles, whatever numbers the classes have.
        return list_files(folder, classes or None, self.classes or sorted(classes))

    def _source(self, files: SplitFiles, *, heads: tuple[Head, ...], decoder: Decoder) -> StoredSamples:
        column = np.array(files.codes if self._has_classes else [], np.int64)
        return self.samples(files, Labels(heads, (column,)) if heads else NO_LABELS, decoder)

    def samples(self, files: SplitFiles, labels: Labels, decoder: Decoder) -> StoredSamples:
        """The images of a split; their ids are relative to the root, so that splits share none."""
        folder, ids = files.folder, iter(files.images)
        if folder != self.root and folder.is_relative_to(self.root):
            prefix = folder.relative_to(self.root).as_posix()
            folder, ids = self.root, (f"{prefix}/{name}" for name in ids)
        return file_samples(folder, Ids(ids), labels, decoder)


def _refuse_flat(folder: Path) -> NoReturn:
    raise DataError(
        f"{folder} holds no images in class folders; expected {folder}/CLASS/IMAGE.jpg (or .png, …); "
        "for images without classes set data.class_mode=null or input"
    )


def _first_images(folder: Path, ids: list[str]) -> list[Path]:
    if not ids:
        _refuse_flat(folder)
    return [folder / name for name in ids]
