"""`data=directory`: your own image files in one folder per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path
from typing import Literal

from runner.component import Folder, is_folder
from runner.data.class_folders import ClassFolders
from runner.data.split_folders import SplitFolders, find_split_folders
from runner.errors import DataError


class Directory(ClassFolders):
    """One folder per class, with or without train/, validation/ and test/ folders around them."""

    kind: Literal["directory"] = "directory"

    root: Folder
    """The folder that holds the class folders, or train/, validation/ (or val/) and test/ folders of them."""

    validation_root: Folder | None = None
    """Another folder of class folders to validate on, if `root` has no validation/ folder."""

    test_root: Folder | None = None
    """Another folder of class folders to test on, if `root` has no test/ folder."""

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """Keys whose folder does not exist, with the folder."""
        for key in ("root", "validation_root", "test_root"):
            folder: Path | None = getattr(self, key)
            if folder is not None and not is_folder(folder):
                yield key, folder

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
