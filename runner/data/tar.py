"""`data=tar`: samples in tar files as webdataset writes them, read without unpacking or rewriting them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, Strict, model_validator

from runner.batch import Indices
from runner.component import Folder, Names, Package
from runner.data.dataset import Data, Dataset, relabel_splits
from runner.data.image_files import SUFFIXES
from runner.data.labels import (
    NO_LABELS,
    ClassMode,
    Head,
    Labels,
    MaskMode,
    class_head,
    codes_of,
    refuse_quantities,
    vocabulary,
)
from runner.data.masks import FIRST_MASKS, MaskedImages, MaskFileSettings, mask_labels
from runner.data.places import MemberPlaces
from runner.data.source import Source
from runner.data.stored_samples import StoredSamples
from runner.errors import DataError
from runner.images.settings import ImageSettings
from runner.messages import first_few

if TYPE_CHECKING:
    from runner.data.tar_shards import TarShards
    from runner.images.decoder import Decoder

LABEL_SUFFIXES = ("cls", "txt", "json")
"""Suffixes of members that may be labels."""

Patterns = str | Annotated[tuple[str, ...], Strict(False), Field(min_length=1)]


class Tar(Data, ImageSettings, MaskFileSettings):
    """Samples in tar files of webdataset: neighbouring members with one name, such as 12.jpg and 12.cls."""

    kind: Literal["tar"] = "tar"

    shards: Patterns
    """The tar files to train on: a path, or a pattern such as shards/train-*.tar or 'train-{000..099}.tar', or a list
    of them. Quote a pattern with braces twice on the command line."""

    validation_shards: Patterns | None = None
    """The tar files to validate on; null: validation_split holds samples out."""

    test_shards: Patterns | None = None
    """The tar files to test on; null: test_split holds samples out."""

    class_mode: ClassMode | MaskMode | None = "categorical"
    """Form of `y`: categorical (one-hot), sparse (class numbers), binary, mask (a class for each pixel), input (the
    image), null (nothing)."""

    classes: Names | None = None
    """The names of the classes, in the order of their class numbers; labels may be these names, or numbers from 0.
    Null: all labels of the training samples."""

    image: Names | None = None
    """The suffix of the images, such as [jpg], or several that stand for each other, [jpg, png]; null: any image."""

    label: str | None = None
    """The suffix of the labels, cls, txt or json; null: the one of these that the samples have."""

    label_key: str | None = None
    """The key of the label in a JSON object; a.b is the key b of the object a."""

    mask: str | None = None
    """The suffix of the masks of class_mode=mask, such as mask.png."""

    index_dir: Folder | None = Path("outputs/cache")
    """The folder that keeps where the members of each file are, for later runs; null: nowhere."""

    @model_validator(mode="after")
    def _mask_is_somewhere(self) -> Self:
        if (self.class_mode == "mask") != (self.mask is not None):
            need = "the suffix of the masks, such as mask.png," if self.class_mode == "mask" else "null"
            mode, given = (value or "null" for value in (self.class_mode, self.mask))
            raise ValueError(f"mask must be {need} with class_mode={mode}, got {given}")
        return self

    @model_validator(mode="after")
    def _label_keys_have_an_effect(self) -> Self:
        given = [key for key in ("label", "label_key", "classes") if getattr(self, key) is not None]
        if given and self.class_mode in ("mask", "input"):
            raise ValueError(f"{given[0]} must be null with class_mode={self.class_mode}, which has no labels")
        return self

    def packages(self) -> Iterator[Package]:
        """The package that expands braces, if there are any."""
        patterns = [self.shards, self.validation_shards or (), self.test_shards or ()]
        if any("{" in pattern for given in patterns for pattern in _several(given)):
            yield Package("data=tar", "bracex", "tar", "list the files in data.shards=[…]")

    def open(self) -> Dataset:
        """Index the tar files; reads the header of one image.

        Raises `DataError` if there are none, or a sample lacks an image or a label.
        """
        return self._open(())

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; samples may be of only some of its classes."""
        return relabel_splits(self._open(heads[0].class_names if len(heads) == 1 else ()), heads)

    def array_settings(self) -> Mapping[str, Any]:
        """The settings of the pixels, and of the codes of masks."""
        return {**self.pixel_settings(), **self.mask_settings()}

    def _open(self, known: tuple[str, ...]) -> Dataset:
        # Imported here because decoders are slow to import and the configuration imports this module.
        from runner.data.tar_shards import TarShards, refuse_repeated
        from runner.images.fast import FIRST, open_decoder

        given = {"train": self.shards, "validation": self.validation_shards, "test": self.test_shards}
        splits = {
            split: TarShards.open(split, _files(split, patterns), self.index_dir)
            for split, patterns in given.items()
            if patterns is not None
        }
        refuse_repeated(splits.values())
        images = {split: shards.members(self._image_suffixes(shards), "image") for split, shards in splits.items()}
        train = images["train"]
        decoder = open_decoder(self, *(train[index] for index in range(min(FIRST, len(train.names)))))
        heads, labels = self._labels(splits, known)
        sources: dict[str, Source] = {
            split: StoredSamples(places, places.names, labels[split], decoder) for split, places in images.items()
        }
        if self.mask is not None:
            heads, sources = self._masked(splits, images, decoder, known)
        dataset = self.dataset(sources, heads)
        read = {suffix for shards in splits.values() for suffix in (*self._image_suffixes(shards), self.mask)}
        notes = [note for shards in splits.values() for note in shards.notes(read | {self._label_suffix(shards)})]
        return replace(dataset, notes=(*notes, *dataset.notes))

    def _image_suffixes(self, shards: TarShards) -> tuple[str, ...]:
        """The suffixes of the images: those given, else all of image files but for the masks."""
        if self.image is not None:
            return tuple(suffix.lower().removeprefix(".") for suffix in self.image)
        others = [suffix for suffix in shards.suffixes if suffix != self._mask_suffix]
        images = [suffix for suffix in others if f".{suffix.rpartition('.')[2]}" in SUFFIXES]
        if not images:
            raise DataError(
                f"{shards.files[0]} must hold images, got members {first_few(shards.suffixes)}; name their suffix with "
                "data.image=[…]"
            )
        return tuple(images)

    @property
    def _mask_suffix(self) -> str | None:
        return None if self.mask is None else self.mask.lower().removeprefix(".")

    def _label_suffix(self, shards: TarShards) -> str | None:
        """The suffix of the labels: the one given, else the only one that may be."""
        if self.class_mode in (None, "input", "mask"):
            return None
        if self.label is not None:
            return self.label.lower().removeprefix(".")
        found = [suffix for suffix in LABEL_SUFFIXES if suffix in shards.suffixes]
        if len(found) == 1 or "cls" in found:
            return found[0]
        names = first_few(found or shards.suffixes)
        raise DataError(
            f"{shards.files[0]}: each sample must have one label, a member cls, txt or json, got {names}; name its "
            "suffix with data.label, or set data.class_mode=null"
        )

    def _labels(
        self, splits: Mapping[str, TarShards], known: tuple[str, ...]
    ) -> tuple[tuple[Head, ...], dict[str, Labels]]:
        """The heads, and the labels of each split."""
        from runner.data.tar_labels import named_classes

        if self.class_mode is None or self.class_mode == "mask":
            return (), dict.fromkeys(splits, NO_LABELS)
        if self.class_mode == "input":
            heads = class_head("input", ())
            return heads, {split: Labels(heads, (np.empty(0, np.int64),)) for split in splits}
        texts = {
            split: named_classes(shards.labels(str(self._label_suffix(shards)), self.label_key), self.classes or known)
            for split, shards in splits.items()
        }
        names = self.classes or known or vocabulary(texts["train"])
        if not self.classes and not known:
            refuse_quantities(self.class_mode, names, len(texts["train"]))
        heads = class_head(self.class_mode, names)
        codes = {name: code for code, name in enumerate(names)}
        columns = {split: codes_of(values, codes) for split, values in texts.items()}
        for split, column in columns.items():
            _refuse_unknown(splits[split], texts[split], column, names)
        return heads, {split: Labels(heads, (column,)) for split, column in columns.items()}

    def _masked(
        self,
        splits: Mapping[str, TarShards],
        images: Mapping[str, MemberPlaces],
        decoder: Decoder,
        known: tuple[str, ...],
    ) -> tuple[tuple[Head, ...], dict[str, Source]]:
        """The head of the masks, and the samples with them."""
        from runner.images.mask import MaskDecoder

        masks = {split: shards.members((str(self._mask_suffix),), "mask") for split, shards in splits.items()}
        train = masks["train"]
        first = [train[index] for index in range(min(FIRST_MASKS, len(train.names)))]
        classes = self.mask_classes(known, lambda: self.first_values(first))
        labels, reader = mask_labels(classes), MaskDecoder(classes, self)
        return labels.heads, {
            split: MaskedImages(StoredSamples(places, places.names, NO_LABELS, decoder), masks[split], reader, labels)
            for split, places in images.items()
        }


def _several(patterns: Patterns) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else patterns


def _files(split: str, patterns: Patterns) -> tuple[Path, ...]:
    """The files of patterns, in the order of the patterns, those of one by name. Raises `DataError` without any."""
    key = "shards" if split == "train" else f"{split}_shards"
    files: dict[Path, None] = {}
    for pattern in _several(patterns):
        found: list[str] = []
        for plain in _expanded(pattern):
            found += [plain] if Path(plain).is_file() else sorted(glob(plain))  # noqa: PTH207  (a pattern is no path)
        if not found:
            raise DataError(f"data.{key} must name tar files, got {pattern}, which fits none")
        files |= dict.fromkeys(map(Path, found))
    return tuple(files)


def _expanded(pattern: str) -> list[str]:
    """A pattern with braces as several without."""
    if "{" not in pattern:
        return [pattern]
    import bracex

    expanded: list[str] = bracex.expand(pattern, limit=0)
    return expanded


def _refuse_unknown(shards: TarShards, texts: Sequence[str], column: Indices, names: Sequence[str]) -> None:
    """Raise `DataError` for a label that is no class."""
    unknown = np.flatnonzero(column < 0)
    if len(unknown):
        found = first_few((f"{texts[index]!r} of {shards.keys[index]}" for index in unknown[:5]), len(unknown))
        raise DataError(
            f"the {shards.split} samples must have only the classes {first_few(names)}, got {found}; list all of them "
            "with data.classes=[…]"
        )
