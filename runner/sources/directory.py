"""`data=directory`: image files in one folder per class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from runner.components import Folder, Names
from runner.images import ImageSettings
from runner.labels import ClassMode
from runner.sources.data import Data, Dataset


class Directory(Data, ImageSettings):
    """A folder per class, nested as deep as you like; with train/, validation/ and test/ folders or without."""

    kind: Literal["directory"] = "directory"

    root: Folder
    """The folder that holds the class folders, or train/, validation/ (or val/) and test/ folders of them."""

    validation_root: Folder | None = None
    """Another folder of class folders to validate on; needed only where `root` has no validation/ folder."""

    test_root: Folder | None = None
    """Another folder of class folders to test on; needed only where `root` has no test/ folder."""

    class_mode: ClassMode | None = "categorical"
    """What `y` is: categorical (one-hot), sparse (class numbers), binary, input (the image), null (nothing)."""

    classes: Names | None = None
    """The class folders to use, in the order of their class numbers; null: all, sorted by name."""

    def open(self) -> Dataset:  # noqa: D102
        raise NotImplementedError

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The folders that do not exist."""
        for key in ("root", "validation_root", "test_root"):
            folder: Path | None = getattr(self, key)
            if folder is not None and not folder.is_dir():
                yield key, folder
