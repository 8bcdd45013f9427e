"""`data=directory`: your own image files in one folder per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from runner.component import Folder, is_folder
from runner.data.class_files import SplitFiles, list_files, refuse_shared
from runner.data.class_folders import ClassFolders
from runner.data.dataset import Dataset, relabel_splits
from runner.data.ids import Ids
from runner.data.labels import NO_LABELS, ClassMode, Head, MaskMode
from runner.data.masks import MaskedImages, MaskFileSettings, mask_labels
from runner.data.places import FilePlaces
from runner.data.split_folders import SplitFolders, find_split_folders
from runner.errors import DataError
from runner.place import Place


class Directory(ClassFolders, MaskFileSettings):
    """One folder per class, with or without train/, validation/ and test/ folders around them; or images with masks."""

    kind: Literal["directory"] = "directory"

    root: Folder
    """The folder that holds the class folders, or train/, validation/ (or val/) and test/ folders of them."""

    class_mode: ClassMode | MaskMode | None = "categorical"  # type: ignore[assignment]
    """Form of `y`: categorical (one-hot), sparse (class numbers), binary, mask (a class for each pixel, in image files
    of their own), input (the image), null (nothing)."""

    masks: Folder | None = None
    """The folder of the masks of class_mode=mask; the mask of a/1.jpg is a/1.png or another image with that name.
    Null: masks lie next to the images, with mask_suffix in their names."""

    mask_suffix: str = ""
    """What the name of a mask has in addition: with _mask, the mask of 1.jpg is 1_mask.png."""

    image_suffix: str = ""
    """What the name of an image has, and that of its mask has not: with _sat, the mask of 1_sat.jpg is 1.png."""

    validation_root: Folder | None = None
    """Another folder of class folders to validate on, if `root` has no validation/ folder."""

    test_root: Folder | None = None
    """Another folder of class folders to test on, if `root` has no test/ folder."""

    @model_validator(mode="after")
    def _masks_are_somewhere(self) -> Self:
        if self.class_mode != "mask":
            return self
        if self.masks in (None, self.root) and not self.mask_suffix:
            raise ValueError(
                f"masks must be the folder of the masks with class_mode=mask, got {self.masks or 'null'}; for masks "
                "next to their images set mask_suffix, such as _mask"
            )
        if self.classes is not None:
            raise ValueError("classes must be null with class_mode=mask; mask_values names the classes of pixels")
        return self

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """Keys whose folder does not exist, with the folder."""
        for key in ("root", "validation_root", "test_root", "masks"):
            folder: Path | None = getattr(self, key)
            if folder is not None and not is_folder(folder):
                yield key, folder

    def open(self) -> Dataset:
        """List the files and split them, as for class folders; images with masks are paired with them."""
        return super().open() if self.class_mode != "mask" else self._open_masks(())

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; masks get its codes."""
        if self.class_mode != "mask":
            return super().open_for(heads)
        return relabel_splits(self._open_masks(heads[0].class_names if len(heads) == 1 else ()), heads)

    def array_settings(self) -> Mapping[str, Any]:
        """The settings of the pixels, and of the codes of masks."""
        return {**super().array_settings(), **self.mask_settings()}

    def _open_masks(self, known: tuple[str, ...]) -> Dataset:
        # Imported here because decoders are slow to import and the configuration imports this module.
        from runner.data.mask_pairs import MaskNames, pair_masks
        from runner.images.fast import FIRST, open_decoder
        from runner.images.mask import MaskDecoder

        found, names = self.split_folders(), MaskNames(self.image_suffix, self.mask_suffix)
        listed = {split: list_files(folder, None, ()) for split, folder in found.folders.items()}
        refuse_shared(listed.values())
        for files in listed.values():
            files.images = [
                image for image in files.images if names.is_image(image) and not self._is_mask(files, image)
            ]
        if not listed["train"].images:
            raise DataError(f"{found.folders['train']} holds no images; expected {found.folders['train']}/IMAGE.jpg")
        decoder = open_decoder(self, *(found.folders["train"] / name for name in listed["train"].images[:FIRST]))
        images = {split: self.samples(files, NO_LABELS, decoder) for split, files in listed.items()}
        folder = self.masks or self.root
        pairs = pair_masks([name for source in images.values() for name in source.ids], self.root, folder, names)
        classes = self.mask_classes(known, lambda: self.first_values(Place(str(folder / mask)) for mask in pairs.masks))
        masks, labels = MaskDecoder(classes, self), mask_labels(classes)
        ends = np.cumsum([len(source) for source in images.values()])
        parts = [pairs.masks[end - len(source) : end] for end, source in zip(ends, images.values(), strict=True)]
        sources = {
            split: MaskedImages(source, FilePlaces(folder, Ids(part)), masks, labels)
            for (split, source), part in zip(images.items(), parts, strict=True)
        }
        dataset = self.dataset(sources, labels.heads)
        left_out = [note for files in listed.values() for note in files.notes()]
        return replace(dataset, notes=(*found.notes, *left_out, *pairs.notes(folder), *dataset.notes))

    def _is_mask(self, files: SplitFiles, image: str) -> bool:
        """Whether an image file lies in the folder of masks, which may be in that of the images."""
        return self.masks is not None and (files.folder / image).is_relative_to(self.masks)

    def split_folders(self) -> SplitFolders:
        """The folder of each split; only `train`, the root itself, if the data has no splits of its own.

        The root holds the classes if `classes` names folders of it. Otherwise names decide: `find_split_folders`.

        Raises `DataError` if the folders are ambiguous, or if one split is inside another.
        """
        chosen = bool(self.classes) and all(is_folder(self.root / name) for name in self.classes or ())
        found = SplitFolders({}) if chosen else find_split_folders(self.root)
        others = {"validation": self.validation_root, "test": self.test_root}
        given = {split: folder for split, folder in others.items() if folder is not None}
        folders = {**given, **(found.folders or {"train": self.root})}
        _refuse_nested(folders)
        unused = tuple(
            f"data.{split}_root={folder} is not read: {folders[split]} is the {split} split"
            for split, folder in given.items()
            if folder != folders[split]
        )
        return SplitFolders(folders, (*found.notes, *unused))


def _refuse_nested(folders: Mapping[str, Path]) -> None:
    """Raise `DataError` if two splits share files."""
    for (split, folder), (other, outer) in permutations(folders.items(), 2):
        if folder.resolve().is_relative_to(outer.resolve()):
            raise DataError(
                f"the {split} folder {folder} must not be inside the {other} folder {outer}: its images would belong "
                "to both; move it, or set data.root to a folder that holds only the training images"
            )
