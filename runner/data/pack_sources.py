"""Sources of a pack: the decoders of files over members of shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from runner.data.labels import Head, Labels
from runner.data.masks import MaskedImages, MaskFileSettings, mask_labels
from runner.data.npy_format import open_npy
from runner.data.pack_document import PackDocument
from runner.data.pack_format import PackField
from runner.data.pack_index import PackedRows
from runner.data.places import MemberPlaces
from runner.data.source import Source
from runner.data.stored_samples import StoredSamples
from runner.data.target_arrays import SideBySide, with_masks
from runner.data.views import Relabelled
from runner.images.settings import ImageSettings

if TYPE_CHECKING:
    from runner.images.decoder import Decoder
    from runner.images.mask_classes import MaskClasses

MASK_KEYS = ("mask_values", "mask_colors", "ignore_value")

T = TypeVar("T")
FirstReadable = Callable[[Callable[[int], T], Iterable[int]], T]
"""Reads the first sample that can be read, as `Data.first_readable`."""


@dataclass(frozen=True)
class PackSources:
    """Makes the source of each split from its rows.

    `pixels` are the settings of images; `classes` those of a model for the pixels of masks, in its order. Without
    `targets`, arrays that are targets are not read.
    """

    document: PackDocument
    rows: Mapping[str, PackedRows]
    pixels: ImageSettings | None
    classes: tuple[str, ...]
    targets: bool

    def open(self, first_readable: FirstReadable[Decoder]) -> dict[str, Source]:
        """The source of each split; reads the header of one member of each array."""
        decoders = {
            field.name: self._decoder(number, field, first_readable)
            for number, field in enumerate(self.document.packed_fields)
            if field.holds != "mask"
        }
        return {split: self._source(rows, decoders) for split, rows in self.rows.items()}

    @property
    def _fields(self) -> list[PackField]:
        """The arrays that are read."""
        targets = {head.field for head in self.document.packed_heads if head.field}
        return [field for field in self.document.packed_fields if self.targets or field.name not in targets]

    def _decoder(self, number: int, field: PackField, first_readable: FirstReadable[Decoder]) -> Decoder:
        places = self.rows["train"].members[number]
        if field.holds == "array":
            return first_readable(lambda index: open_npy(places[index]), range(len(self.rows["train"].ids)))
        from runner.images.fast import FIRST, decoder_of, open_decoder

        if self.pixels is None:
            raise TypeError("images need settings of their pixels")
        if self.document.encode != "keep":
            return decoder_of(self.pixels, deep=False)
        if self.pixels.color_mode == self.document.data["color_mode"]:
            return decoder_of(self.pixels, deep=field.dtype == "float32")
        return open_decoder(self.pixels, *(places[index] for index in range(min(FIRST, len(places.names)))))

    def _source(self, rows: PackedRows, decoders: Mapping[str, Decoder]) -> Source:
        labels = rows.labels if self.targets else Labels((), (), rows.labels.weights)
        members = dict(zip((field.name for field in self.document.packed_fields), rows.members, strict=True))
        fields = self._fields
        first = StoredSamples(members[fields[0].name], rows.ids, labels, decoders[fields[0].name])
        if len(fields) == 1:
            return first
        if self.document.holds("mask"):
            return self._masked(first, members[fields[1].name], labels)
        pair = SideBySide(
            {one.name: replace(first, stored=members[one.name], decoder=decoders[one.name]) for one in fields}
        )
        mask = next((head for head in labels.heads if head.mode == "mask"), None)
        if mask is None or (self.document.encode == "npy" and self.classes in ((), mask.class_names)):
            return Relabelled(pair, labels)
        classes = self._mask_classes(mask)
        return with_masks(pair, classes, _of_masks(labels, classes), mask.field)

    def _masked(self, images: StoredSamples, masks: MemberPlaces, labels: Labels) -> Source:
        from runner.images.mask import MaskDecoder

        classes = self._mask_classes(labels.heads[0])
        if self.pixels is None:
            raise TypeError("masks need settings of their images")
        return MaskedImages(images, masks, MaskDecoder(classes, self.pixels), _of_masks(labels, classes))

    def _mask_classes(self, mask: Head) -> MaskClasses:
        """The class of each value in a mask: as the packed data says, or the codes that a loader made of them."""
        from runner.images.mask_classes import MaskClasses

        if self.document.encode == "npy":
            return MaskClasses(tuple(enumerate(mask.class_names)), mask.ignored, self.classes)
        return mask_settings(self.document).mask_classes(self.classes, lambda: [])


def mask_settings(document: PackDocument) -> MaskFileSettings:
    """What the packed data says about its masks."""
    given = {key: document.data[key] for key in MASK_KEYS if key in document.data}
    return MaskFileSettings.model_validate_json(json.dumps(given))


def _of_masks(labels: Labels, classes: MaskClasses) -> Labels:
    """The labels of masks, with the weights of the samples."""
    return replace(mask_labels(classes), weights=labels.weights)
