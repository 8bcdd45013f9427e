"""Image files of classes: the folder of each class, its files, and folders that would make a file several samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from runner.data.division import split_of
from runner.data.file_names import composed
from runner.data.image_files import Listing, list_folders, list_images
from runner.errors import DataError
from runner.messages import first_few, plural

MOST_FOLDERS = 20
"""Folders that a message names."""

NO_SUFFIX = "none"
"""Stands for the suffix of a file without one."""


@dataclass
class SplitFiles:
    """The images of one split; with classes in their order, and the class code of each."""

    folder: Path
    images: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)

    def add(self, listing: Listing, name: str = "", code: int | None = None) -> None:
        """Add the images of a class folder, or those of the whole folder."""
        prefix = f"{name}/" if name else ""
        self.listings.append(listing)
        self.images += [prefix + image for image in listing.images]
        self.codes += [] if code is None else [code] * len(listing.images)

    def notes(self) -> Iterator[str]:
        """Notes on what lies in the folders and is not read."""
        unread: Counter[str] = sum((listing.unread for listing in self.listings), Counter())
        if unread:
            ordered = sorted(unread.items(), key=lambda item: (-item[1], item[0]))
            suffixes = first_few(f"{suffix or NO_SUFFIX} ({count:,})" for suffix, count in ordered)
            files = plural(unread.total(), "file")
            yield f"{files} below {self.folder} {_are(unread.total())} left out by suffix: {suffixes}"
        links = [f"{listing.roots[0]}/{name}" for listing in self.listings for name in listing.unfollowed]
        if links:
            text = plural(len(links), "linked folder")
            yield f"{text} further down {_are(len(links))} not followed: {first_few(links)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def list_files(folder: Path, classes: Sequence[str] | None, order: Iterable[str]) -> SplitFiles:
    """Image files of `classes`, in the given `order` of the classes; without classes, those of the whole folder.

    A class without a folder has no files. Raises `DataError` if a folder cannot be read.
    """
    files = SplitFiles(folder)
    if classes is None:
        files.add(list_images(folder))
        return files
    found, codes = class_folders(folder), {name: code for code, name in enumerate(classes)}
    for name in order:
        inside = found.get(composed(name), name)
        if (folder / inside).is_dir():
            listing = list_images(folder / inside)
            _refuse_splits(folder / inside, listing.folders)
            files.add(listing, inside, codes[name])
    return files


def class_folders(folder: Path) -> dict[str, str]:
    """The class folders by their name in one Unicode form: a Mac may write é in another form than Linux.

    Raises `DataError` if two folders differ in nothing else.
    """
    found: dict[str, str] = {}
    for name in list_folders(folder):
        if composed(name) in found:
            raise DataError(
                f"{folder} must hold one folder for each class, got {name} twice, with its letters in two Unicode "
                "forms (NFC and NFD); merge them"
            )
        found[composed(name)] = name
    return found


def refuse_missing(folder: Path, classes: Sequence[str]) -> None:
    """Raise `DataError` if one of `classes` has no folder."""
    found = class_folders(folder)
    missing = [name for name in classes if composed(name) not in found and not (folder / name).is_dir()]
    if missing:
        raise DataError(
            f"data.classes must name folders of {folder}, got {first_few(missing)}; the folders are "
            f"{first_few(found.values(), most=MOST_FOLDERS)}"
        )


def refuse_unknown(folder: Path, classes: Sequence[str]) -> None:
    """Raise `DataError` if `folder` has a class folder that the training data lacks."""
    known = set(map(composed, classes))
    unknown = [name for plain, name in class_folders(folder).items() if plain not in known]
    if unknown:
        raise DataError(
            f"{folder} must have only class folders of the training data, got {first_few(unknown)}; remove them, or "
            "list the classes to use with data.classes=[…]"
        )


def _refuse_splits(folder: Path, inside: Iterable[str]) -> None:
    """Raise `DataError` for a class folder that holds train/ and another split: its test images would be trained on."""
    splits = {name: split for name in sorted(inside) if (split := split_of(name))}
    if "train" in splits.values() and len(set(splits.values())) > 1:
        raise DataError(
            f"{folder} must hold the images of one class, got the folders {', '.join(splits)}, which are named like "
            f"splits; set data.root={folder} to train on it alone, or put the splits above the classes"
        )


def refuse_shared(splits: Iterable[SplitFiles]) -> None:
    """Raise `DataError` if a folder lies within another, by links: its files would be several samples."""
    roots = [root for files in splits for listing in files.listings for root in listing.roots]
    real = sorted((root.resolve().parts, str(root)) for root in roots)
    for (outer, first), (inner, second) in pairwise(real):
        if inner[: len(outer)] == outer:
            raise DataError(
                f"{second} must not lead to the files of {first}: each would be a sample twice; remove the link, or "
                "one of the folders"
            )
