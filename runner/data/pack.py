"""`data=pack`: samples that `mode=pack` has written into large files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from runner.component import Folder, Fraction, Names, Package, Size, is_folder
from runner.data.dataset import Data, Dataset, RecordedDigest, relabel_splits
from runner.data.labels import ClassMode, Head, Labels, class_head
from runner.data.pack_format import PACK_JSON, pyarrow_for
from runner.data.source import Source
from runner.data.views import Relabelled, select
from runner.errors import DataError
from runner.images.settings import ColorMode, ImageSettings, Interpolation
from runner.messages import did_you_mean, first_few, yaml_text

if TYPE_CHECKING:
    from runner.data.pack_document import PackDocument

CLASS_MODES = ("categorical", "sparse", "binary")
PIXEL_KEYS = tuple(ImageSettings.model_fields)


class Pack(Data):
    """Samples one after another in large files, written by mode=pack; keys that are null are as in the packed data."""

    kind: Literal["pack"] = "pack"

    root: Folder
    """The folder of the pack, with pack.json."""

    class_mode: ClassMode | Literal["packed"] | None = "packed"
    """Form of `y`: as in the packed data (packed), or for one class per sample categorical, sparse or binary; input
    (the sample), null (nothing)."""

    classes: Names | None = None
    """Classes to use, in the order of their class numbers; null: all."""

    target_size: Size | None = None
    """Height and width of every image after resizing, in pixels."""

    color_mode: ColorMode | None = None
    """Channels of a sample: grayscale 1, rgb 3, rgba 4."""

    interpolation: Interpolation | None = None
    """The resizing filter."""

    antialias: bool | None = None
    """Whether to smooth an image before it shrinks."""

    keep_aspect_ratio: bool | None = None
    """Whether to crop the centre to the target's aspect ratio before resizing."""

    decode: Literal["exact", "fast"] | None = None
    """`exact`: the pixels of `keras.utils.load_img`; `fast`: faster code."""

    validation_split: Fraction = 0.0
    """Share of the training samples to hold out for validation, if the pack has no validation split."""

    test_split: Fraction = 0.0
    """Share of the training samples to hold out for the test, if the pack has no test split."""

    def packages(self) -> Iterator[Package]:
        """The package that reads the index."""
        yield pyarrow_for("data=pack")

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The folder, if it does not exist."""
        if not is_folder(self.root):
            yield "root", self.root

    def open(self) -> Dataset:
        """Read pack.json and the index; of the samples, at most one is read.

        Raises `DataError` if a shard is missing or cut off, or the keys do not fit what is packed.
        """
        return self._open(())

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; masks get its codes."""
        return relabel_splits(self._open(heads[0].class_names if len(heads) == 1 else ()), heads)

    def array_settings(self) -> Mapping[str, Any]:
        """The settings of the pixels, and of the codes of masks."""
        from runner.data.pack_document import load_pack
        from runner.data.pack_sources import mask_settings

        document = load_pack(self.root)
        pixels = self._pixels(document)
        masks = {"masks": mask_settings(document).mask_document()} if document.encode == "keep" else {}
        return {**(pixels.pixel_settings() if pixels else {}), **masks}

    def recorded_digests(self) -> RecordedDigest:
        """The digests of the members, from the index."""
        from runner.data.pack_digests import read_digests
        from runner.data.pack_document import load_pack

        return read_digests(self.root, load_pack(self.root))

    def packed_settings(self, document: PackDocument) -> dict[str, Any]:
        """The settings of the data that was packed, with those given here: what another pack of it needs."""
        pixels = self._pixels(document)
        return {**document.data, **(pixels.pixel_settings() if pixels else {})}

    def _open(self, classes: tuple[str, ...]) -> Dataset:
        # Imported here because decoders are slow to import and the configuration imports this module.
        from runner.data.mixed import PackedMix
        from runner.data.pack_document import read_pack
        from runner.data.pack_index import read_index
        from runner.data.pack_sources import PackSources

        document = read_pack(self.root)
        pixels, heads = self._pixels(document), self._heads(document.packed_heads)
        rows = {split: rows for split, rows in read_index(self.root, document).items() if len(rows.ids)}
        has_masks = any(head.mode == "mask" for head in document.packed_heads)
        order = classes if has_masks else ()
        has_targets = self.class_mode not in (None, "input")
        opened = PackSources(document, rows, pixels, order, has_targets).open(self.first_readable)
        if parts := document.data.get("parts"):
            opened = {split: PackedMix.of(source, parts) for split, source in opened.items()}
        sources = {split: self._labelled(source, heads) for split, source in opened.items()}
        return self.dataset(sources, sources["train"].labels.heads, (self.root / PACK_JSON,))

    def _pixels(self, document: PackDocument) -> ImageSettings | None:
        """The settings of images: those given here, else those of the packed data; None if it holds none."""
        given = {key: getattr(self, key) for key in PIXEL_KEYS if getattr(self, key) is not None}
        if not document.holds("image"):
            if given:
                raise DataError(f"data.{min(given)} must be null for a pack of arrays, which have a shape of their own")
            return None
        packed = {key: document.data[key] for key in PIXEL_KEYS}
        try:
            return ImageSettings.model_validate_json(json.dumps({**packed, **given}))
        except ValidationError as error:
            raise DataError(f"data: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error

    def _heads(self, packed: tuple[Head, ...]) -> tuple[Head, ...] | None:
        """The heads that class_mode and classes ask for; None: those of the pack."""
        if self.class_mode == "packed" and self.classes is None:
            return None
        if self.class_mode in (None, "input"):
            return class_head(self.class_mode, ())
        if len(packed) != 1 or packed[0].mode not in CLASS_MODES:
            key, value = ("classes", self.classes) if self.class_mode == "packed" else ("class_mode", self.class_mode)
            modes = first_few(head.mode for head in packed) if packed else "no labels"
            raise DataError(
                f"data.{key}={yaml_text(value)} needs a pack with one class for each sample, got {modes}; leave it out"
            )
        names = packed[0].class_names
        for name in self.classes or ():
            if name not in names:
                known, near = first_few(names), did_you_mean(name, names)
                raise DataError(f"data.classes must name classes of the pack ({known}), got {name}{near}")
        if self.class_mode == "packed":
            return (replace(packed[0], class_names=self.classes or names),)
        return class_head(self.class_mode, self.classes or names)

    def _labelled(self, source: Source, heads: tuple[Head, ...] | None) -> Source:
        """The samples of a split with these heads in place of the packed ones; without those of other classes."""
        if heads is None:
            return source
        labels = source.labels
        if not heads or heads[0].mode == "input":
            return Relabelled(source, Labels(heads, tuple(np.empty(0, np.int64) for _ in heads), labels.weights))
        codes = {name: code for code, name in enumerate(heads[0].class_names)}
        table = np.array([codes.get(name, -1) for name in labels.heads[0].class_names], np.int64)
        column = table[labels.columns[0]]
        chosen = np.flatnonzero(column >= 0)
        recoded = replace(labels, heads=heads, columns=(column,))
        relabelled = Relabelled(source, recoded)
        return relabelled if len(chosen) == len(column) else select(relabelled, chosen)
