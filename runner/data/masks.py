"""Images with masks: the samples, and the keys that say what masks hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import Field, Strict, model_validator

from runner.batch import Array
from runner.component import Component
from runner.data.labels import Head, Labels
from runner.data.places import Places, Spans
from runner.data.source import Source
from runner.data.stored_samples import StoredSamples
from runner.errors import BadSampleError, DataError
from runner.fields import Fields, Layout, Values
from runner.images.decoder import StoredBytes, decoding
from runner.messages import first_few, plural, yaml_text
from runner.place import Place

if TYPE_CHECKING:
    from runner.images.mask import MaskDecoder
    from runner.images.mask_classes import MaskClasses

IMAGE, MASK = "image", "mask"
"""Names of the arrays of a sample with a mask."""

OF_MASKS = ("masks", "mask_column", "mask_suffix", "image_suffix", "mask_values", "mask_colors", "ignore_value")
"""All keys that only masks have."""

FIRST_MASKS = 16
"""Masks that are read to show which values they hold."""
MOST_VALUES = 12
"""Values that a message shows; more are hardly classes."""

Level = Annotated[int, Field(ge=0, le=255)]
Color = Annotated[tuple[Level, Level, Level], Strict(False)]
Colors = Annotated[tuple[Color, ...], Strict(False), Field(min_length=1)]


class MaskSettings(Component):
    """Keys of masks, for data whose `class_mode` can be mask."""

    mask_values: dict[int, str] | None = Field(default=None, examples=[{0: "background", 255: "cat"}])
    """What masks hold, and the class of each value: {0: background, 255: cat}. Classes are in the order of first
    mention; values with the same name are one class."""

    ignore_value: int | None = None
    """The value of pixels that count neither in the loss nor in scores; null: all pixels count."""

    @model_validator(mode="after")
    def _mask_keys_have_an_effect(self) -> Self:
        mode = getattr(self, "class_mode", None)
        given = [key for key in self._mask_keys if getattr(self, key) not in (None, "")]
        if given and mode not in ("mask", None):  # a model that is used without masks keeps the keys
            raise ValueError(
                f"{' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect with "
                f"class_mode={yaml_text(mode)}; set class_mode=mask, or leave {'it' if len(given) == 1 else 'them'} out"
            )
        values = [value for value, _ in self.values_by_class()]
        if self.ignore_value is not None and self.ignore_value in values:
            raise ValueError(
                f"ignore_value must be a value without a class, got {yaml_text(self.ignore_value)}, which is "
                f"{dict(self.values_by_class())[self.ignore_value]}; remove it from one of the two"
            )
        return self

    @property
    def _mask_keys(self) -> tuple[str, ...]:
        return tuple(key for key in type(self).model_fields if key in OF_MASKS)

    def mask_settings(self) -> dict[str, Any]:
        """The settings that, with files and a model's classes, decide the codes of masks; none without masks."""
        if getattr(self, "class_mode", None) != "mask":
            return {}
        return {"masks": self.mask_document()}

    def mask_document(self) -> list[Any]:
        """What the settings say about masks, in order."""
        return [*self.values_by_class(), ("ignored", self.ignore_value)]

    def values_by_class(self) -> tuple[tuple[Any, str], ...]:
        """Pairs of a stored value and its class; none if the settings do not say."""
        return tuple((self.mask_values or {}).items())

    def mask_classes(self, known: tuple[str, ...], first: Callable[[], Sequence[Array]]) -> MaskClasses:
        """The classes of the masks, in the order of `known`, the classes of a model, if there are any.

        Raises `DataError` if there are less than two, or the settings do not say which; `first` gives the values of
        some masks for its message.
        """
        from runner.images.mask_classes import MaskClasses

        by_value = self.values_by_class()
        if not by_value:
            raise DataError(_no_classes(first()))
        names = tuple(dict.fromkeys(name for _, name in by_value))
        if len(names) < 2:
            raise DataError(f"masks must have at least 2 classes, got only {names[0]}; name the background, too")
        if unknown := [name for name in names if known and name not in known]:
            raise DataError(
                f"the masks must have only classes of the model ({first_few(known)}), got {first_few(unknown)}"
            )
        return MaskClasses(by_value, self.ignore_value, known)


class MaskFileSettings(MaskSettings):
    """Keys of masks that are image files."""

    mask_colors: dict[str, Color | Colors] | None = Field(default=None, examples=[{"road": [128, 64, 128]}])
    """The colour of each class, in place of mask_values, for masks in colour: {road: [128, 64, 128]}, or several
    colours of a class, {road: [[128, 64, 128], [244, 35, 232]]}. Classes are in this order."""

    ignore_value: int | Color | None = None  # type: ignore[assignment]
    """The value, or the colour, of pixels that count neither in the loss nor in scores; null: all pixels count."""

    @model_validator(mode="after")
    def _values_or_colors(self) -> Self:
        if self.mask_values and self.mask_colors:
            raise ValueError("mask_values and mask_colors exclude each other, got both; masks hold numbers or colours")
        is_color = isinstance(self.ignore_value, tuple)
        if self.ignore_value is not None and is_color != bool(self.mask_colors):
            wanted = "a colour, such as [0, 0, 0]," if self.mask_colors else "a number"
            raise ValueError(f"ignore_value must be {wanted} like the classes, got {yaml_text(self.ignore_value)}")
        return self

    def values_by_class(self) -> tuple[tuple[Any, str], ...]:
        """Pairs of a stored value or colour and its class; none if the settings do not say."""
        if not self.mask_colors:
            return super().values_by_class()
        several = {name: given if isinstance(given[0], tuple) else (given,) for name, given in self.mask_colors.items()}
        return tuple((color, name) for name, colors in several.items() for color in colors)

    def first_values(self, places: Iterable[Place]) -> list[Array]:
        """The values of the first masks that can be read; colours, if one of them has colours."""
        from runner.images.mask import read_mask_values

        chosen = [place for place in islice(places, FIRST_MASKS) if Path(place.file).is_file()]
        for colors in (False, True):
            with suppress(BadSampleError):
                return [read_mask_values(place, colors=colors) for place in chosen]
        return []


def mask_labels(classes: MaskClasses, field: str = MASK) -> Labels:
    """Labels of samples whose target is their mask, the array `field`."""
    head = Head("", "mask", classes.names, field=field, stored=classes.stored, ignored=classes.ignored)
    return Labels((head,), (np.empty(0, np.int64),))


def _no_classes(masks: Sequence[Array]) -> str:
    """The error for masks without classes: what the first masks hold, and a line to copy."""
    counts: Counter[Any] = Counter()
    for mask in masks:
        values, pixels = np.unique(mask.reshape(-1, *mask.shape[2:]), axis=0, return_counts=True)
        counts.update(dict(zip(map(_plain, values.tolist()), pixels.tolist(), strict=True)))
    found, total = sorted(counts), counts.total()
    are_colors = bool(found) and isinstance(found[0], tuple)
    key = "mask_colors" if are_colors else "mask_values"
    names = ["background", *(f"class_{number}" for number in range(1, max(2, len(found))))][:MOST_VALUES]
    shown = [_text(value) for value in found] or ["0", "1"]
    pairs = zip(names, shown, strict=False)
    line = ", ".join(f"{name}: {value}" if are_colors else f"{value}: {name}" for name, value in pairs)
    shares = first_few((f"{_text(value)} ({counts[value] / total:.1%})" for value in found), most=MOST_VALUES)
    hold = (
        f"; the first {plural(len(masks), 'mask')} {'holds' if len(masks) == 1 else 'hold'} {shares}" if found else ""
    )
    return f"data.{key} must name the class of each value in the masks{hold}; for example 'data.{key}={{{line}}}'"


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _text(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class MaskedImages(Source):
    """Images, each with a mask of its size as it is stored; the mask is cut and resized like the image."""

    images: StoredSamples
    masks: Places
    decoder: MaskDecoder
    labels: Labels

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the images."""
        return self.images.ids

    @property
    def spec(self) -> Layout:
        """An image, then a mask."""
        return Layout(((IMAGE, self.images.spec), (MASK, self.decoder.spec)))

    def places(self, index: int) -> tuple[Place, Place]:
        """Where the image and the mask of sample `index` are."""
        return self.images.stored[index], self.masks[index]

    def spans(self) -> Spans | None:
        """Of each sample the part of a large file from its image to its mask; None if each is a file."""
        images, masks = self.images.spans(), self.masks.spans()
        return None if images is None or masks is None else images.over(masks)

    def read(self, index: int, out: Values = None) -> Values:
        """Read the image and the mask of sample `index`."""
        values = self.spec.empty() if out is None else out
        self._read(index, values)
        return values

    def read_hashed(self, index: int, out: Values) -> bytes:
        """Read sample `index` into `out`; return one digest of its bytes."""
        import xxhash  # late: a configuration that is wrong needs none

        digest = xxhash.xxh3_128()
        for part in self._read(index, out):
            digest.update(part)
        return digest.digest()

    def _read(self, index: int, out: Fields) -> StoredBytes:
        image, mask = self.images.stored[index], self.masks[index]
        image_data = image.read()
        with decoding:
            size = self.images.decoder.decode(image_data, image.name, out.arrays[IMAGE])
        mask_data = mask.read()
        with decoding:
            self.decoder.decode(mask_data, mask.name, size, out.arrays[MASK])
        return image_data, mask_data
