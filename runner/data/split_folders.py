"""Split folders: which folders of a root are train/, validation/ and test/, and which look as if they were."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.data.division import split_of
from runner.data.image_files import holds_images, list_folders, list_loose_images
from runner.errors import DataError
from runner.messages import first_few

VERBS = {"train": "train", "validation": "validate", "test": "test"}

LIKE_A_SPLIT = re.compile(
    r"(?:^|[^a-z])(train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?)(?:set|data|images?|imgs?)?(?:[^a-z]|$)"
)
"""Names that contain the name of a split: train2017, training_set, seg_test."""


@dataclass(frozen=True)
class SplitFolders:
    """The folder of each split; none if the root holds class folders. `notes` say what was taken for what."""

    folders: Mapping[str, Path]
    notes: tuple[str, ...] = ()


def find_split_folders(root: Path) -> SplitFolders:
    """The split folders of `root`.

    A train/ folder that holds images and no folders is a class if other folders lie next to it.

    Raises `DataError` if other folders with images lie next to train/, if two folders are one split, if there is no
    train/ next to val/ and test/, and for names that only look like splits.
    """
    names = list_folders(root)
    splits = {name: split for name in names if (split := split_of(name))}
    found = set(splits.values())
    train = next((name for name, split in splits.items() if split == "train"), None)
    others = [name for name in names if name not in splits]
    if train is None or (others and len(found) == 1 and _is_class(root / train)):
        _refuse_lookalikes(root, names, splits)
        return SplitFolders({}, () if train is None else (f"{root / train} is taken for a class: it holds images",))
    _refuse_double(root, splits)
    with_images = [name for name in others if holds_images(root / name)]
    if with_images:
        raise DataError(
            f"{root} must hold only folders of splits next to {train}/, got {first_few(with_images)}; move "
            f"{'it' if len(with_images) == 1 else 'them'} elsewhere, set data.root={root / train}, or list the class "
            "folders with data.classes=[…]"
        )
    notes = (f"{root} holds other folders without images, which are left out: {first_few(others)}",) if others else ()
    return SplitFolders({split: root / name for name, split in splits.items()}, notes)


def _is_class(folder: Path) -> bool:
    return bool(list_loose_images(folder)) or not list_folders(folder)


def _refuse_double(root: Path, splits: Mapping[str, str]) -> None:
    for split in dict.fromkeys(splits.values()):
        same = [name for name, other in splits.items() if other == split]
        if len(same) > 1:
            raise DataError(
                f"{root} must hold one folder to {VERBS[split]} on, got {' and '.join(same)}; rename or merge one"
            )


def _refuse_lookalikes(root: Path, names: Sequence[str], splits: Mapping[str, str]) -> None:
    """Raise `DataError` for folders that are splits by their names, as far as one can guess: not classes."""
    if len(set(splits.values())) > 1:
        raise DataError(
            f"{root} must hold a train/ folder next to {' and '.join(splits)}, got {first_few(names)}; rename the "
            "folder to train on, or list the class folders with data.classes=[…]"
        )
    alike = {name: split_of(match[1]) for name in names if (match := LIKE_A_SPLIT.search(name.casefold()))}
    if "train" in alike.values() and len(set(alike.values())) > 1:
        wanted = " and ".join(f"{name} to {split}" for name, split in alike.items())
        raise DataError(
            f"{root} must name its split folders train, validation and test, got {', '.join(alike)}; rename {wanted}, "
            "or list the class folders with data.classes=[…]"
        )
