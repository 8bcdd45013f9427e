"""Which mask belongs to which image, by the names of their files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.data.file_names import composed
from runner.data.image_files import list_images
from runner.errors import DataError
from runner.messages import first_few, plural


@dataclass(frozen=True)
class MaskNames:
    """How the names of masks follow from those of images: `a_sat.jpg` has the mask `a_mask.png`."""

    image_suffix: str = ""
    mask_suffix: str = ""

    def is_image(self, name: str) -> bool:
        """Whether a file in a folder of images and masks is an image."""
        stem = _stem(name)
        return stem.endswith(self.image_suffix) and not (self.mask_suffix and stem.endswith(self.mask_suffix))

    def mask_stem(self, image: str) -> str:
        """The path of an image's mask, without its suffix."""
        stem = _stem(image)
        return composed(stem[: len(stem) - len(self.image_suffix)] + self.mask_suffix)


@dataclass(frozen=True)
class Pairs:
    """The path of the mask of each image; how many of these are missing; and masks without an image."""

    masks: list[str]
    missing: int
    unused: list[str]

    def notes(self, folder: Path) -> Iterator[str]:
        """What has no partner."""
        if self.missing:
            yield f"{plural(self.missing, 'image')} without a mask in {folder}"
        if self.unused:
            yield f"{plural(len(self.unused), 'mask')} in {folder} without an image: {first_few(self.unused)}"


def pair_masks(images: Sequence[str], root: Path, folder: Path, names: MaskNames) -> Pairs:
    """The mask in `folder` of each image below `root`: the same relative path but for suffixes.

    An image without a mask gets the path where it is expected, so that reading it names that file. Raises `DataError`
    if two files are the mask of one image, or no image has a mask.
    """
    by_stem: dict[str, str] = {}
    found = list_images(folder).images
    for path in found:
        stem = composed(_stem(path))
        if not stem.endswith(names.mask_suffix):
            continue
        if (other := by_stem.setdefault(stem, path)) != path:
            raise DataError(f"{folder} must hold one mask for each image, got {other} and {path}; remove one of them")
    stems = [names.mask_stem(path) for path in images]
    missing = sum(stem not in by_stem for stem in stems)
    if missing == len(stems):
        raise DataError(_no_masks(images[0], root, folder, stems[0], found))
    used = set(stems)
    unused = [path for stem, path in by_stem.items() if stem not in used]
    return Pairs([by_stem.get(stem, f"{stem}.png") for stem in stems], missing, unused)


def _stem(path: str) -> str:
    return posixpath.splitext(path)[0]


def _no_masks(image: str, root: Path, folder: Path, stem: str, masks: Sequence[str]) -> str:
    """The error for a folder without a mask for any image."""
    outer, _, inner = stem.partition("/")
    held = f"it has {first_few(sorted(masks), most=3)}; " if masks else ""
    fix = "data.mask_suffix and data.image_suffix are for names that differ"
    if inner in map(_stem, map(composed, masks)):
        fix = f"set data.root={root / outer}, whose paths are those of the masks"
    return (
        f"{folder} must hold a mask for each image, got none; {image} needs {folder / stem}.png, or another type of "
        f"image with that name; {held}{fix}"
    )
