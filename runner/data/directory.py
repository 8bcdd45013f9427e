"""`data=directory`: your own image files in one folder per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path
from typing import Literal

from runner.component import Folder
from runner.data.class_folders import ClassFolders
from runner.data.image_files import list_folders
from runner.errors import DataError

SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


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
            if folder is not None and not folder.is_dir():
                yield key, folder

    def split_folders(self) -> Mapping[str, Path]:
        """The folder of each split; only `train`, the root itself, if the data has no splits of its own.

        The root holds split folders if it has a train/ folder and only folders named like splits. With any other
        folder next to it, `train` is a class like the others.

        Raises `DataError` if there are both val/ and validation/, or if one split is inside another.
        """
        names = list_folders(self.root)
        if "train" in names and set(names) <= set(SPLIT_FOLDERS):
            folders = {SPLIT_FOLDERS[name]: self.root / name for name in names}
        else:
            folders = {"train": self.root}
        if len(folders) < len(names) and "train" in folders and folders["train"] != self.root:
            raise DataError(
                f"{self.root} must hold one folder to validate on, got val and validation; rename or merge one"
            )
        others = {"validation": self.validation_root, "test": self.test_root}
        folders = {**{split: folder for split, folder in others.items() if folder is not None}, **folders}
        _refuse_nested(folders)
        return folders


def _refuse_nested(folders: Mapping[str, Path]) -> None:
    """Raise `DataError` if two splits share files."""
    for (split, folder), (other, outer) in permutations(folders.items(), 2):
        if folder.resolve().is_relative_to(outer.resolve()):
            raise DataError(
                f"the {split} folder {folder} must not be inside the {other} folder {outer}: its images would belong "
                "to both; move it, or set data.root to a folder that holds only the training images"
            )
