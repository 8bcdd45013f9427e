"""`data=directory`: your own image files in one folder per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from runner.components import Folder
from runner.sources.class_folders import ClassFolders
from runner.sources.listing import list_folders

SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


class Directory(ClassFolders):
    """A folder per class, within train/, validation/ and test/ folders or without."""

    kind: Literal["directory"] = "directory"

    root: Folder
    """The folder that holds the class folders, or train/, validation/ (or val/) and test/ folders of them."""

    validation_root: Folder | None = None
    """Another folder of class folders to validate on, where `root` has no validation/ folder."""

    test_root: Folder | None = None
    """Another folder of class folders to test on, where `root` has no test/ folder."""

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The folders that do not exist."""
        for key in ("root", "validation_root", "test_root"):
            folder: Path | None = getattr(self, key)
            if folder is not None and not folder.is_dir():
                yield key, folder

    def split_folders(self) -> Mapping[str, Path]:
        """The folder of each split the data brings; only `train`, the root itself, if it brings none.

        The root is split by folders if it has a train/ folder and no folder but those of splits; with any other
        folder beside it, `train` is a class like the others.
        """
        names = list_folders(self.root)
        if "train" in names and set(names) <= set(SPLIT_FOLDERS):
            folders = {SPLIT_FOLDERS[name]: self.root / name for name in names}
        else:
            folders = {"train": self.root}
        others = {"validation": self.validation_root, "test": self.test_root}
        return {**{split: folder for split, folder in others.items() if folder is not None}, **folders}
