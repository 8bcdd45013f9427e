"""Augmentation of images: their placement by random draws, then their pixel values; of masks, the placement alone.

The draws depend on the seed, the pass and the sample only, so every loader and worker augments alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec
from runner.errors import DataError
from runner.fields import Fields, Layout, SampleSpec, Values
from runner.images.crop import crop_box
from runner.images.resize import resize_antialiased, resize_nearest
from runner.messages import shape_text
from runner.transforms.draws import Draws
from runner.transforms.pixels import RGB, erased, noise_seed, repainted
from runner.transforms.placement import place
from runner.transforms.settings import Augment
from runner.transforms.transform import Transform

DTYPES = ("uint8", "uint16", "float32")
"""Dtypes that OpenCV augments."""

MOST_CHANNELS = 4
"""The most channels that OpenCV interpolates at once."""

NO_MASKS: Mapping[str, int] = {}


def augment(
    settings: Augment, read: SampleSpec, seed: int, *, training: bool, masks: Mapping[str, int] = NO_MASKS
) -> tuple[Transform, ...]:
    """The augmentation of samples with the spec `read`; outside training only a centred crop of the same size.

    Of several arrays all images are augmented, each by the same draws. `masks` are the arrays that hold class codes,
    with the code that fills them outside of the image where `fill_mode` is constant. Raises `DataError` if such samples
    cannot be augmented.
    """
    if not settings.changes_images:
        return ()
    if isinstance(read, Layout):
        return _of_fields(settings, read, seed, training=training, masks=masks)
    _refuse_other_than_images(settings, read)
    return _of_array(settings, read, seed, training=training)


def _of_array(
    settings: Augment, read: ArraySpec, seed: int, *, training: bool, mask_fill: int | None = None
) -> tuple[Transform, ...]:
    if settings.crop is None:
        return (Augmentation(settings, read, seed, mask_fill),) if training else ()
    spec = ArraySpec((*settings.crop, *read.shape[2:]), np.dtype(read.dtype))
    is_mask = mask_fill is not None
    return (Augmentation(settings, spec, seed, mask_fill) if training else CenterCrop(spec, is_mask),)


def _of_fields(
    settings: Augment, read: Layout, seed: int, *, training: bool, masks: Mapping[str, int]
) -> tuple[Transform, ...]:
    # Next to a mask an image is known by its sides, and may have any number of channels.
    sides = {spec.shape[:2] for name, spec in read.specs if name in masks}
    images = {name: spec for name, spec in read.specs if name not in masks and _is_image(spec, sides)}
    if not images or len(sides | {spec.shape[:2] for spec in images.values()}) > 1:
        raise DataError(
            f"data.augment needs images of one height and width among the arrays of a sample, got {read}; remove "
            "data.augment, or augment them in a function of yours (data.transform)"
        )
    for spec in images.values():
        _refuse_settings(settings, spec)
    found = {
        name: _of_array(settings, spec, seed, training=training, mask_fill=masks.get(name))
        for name, spec in read.specs
        if name in images or name in masks
    }
    transforms = {name: first for name, (first, *_) in found.items() if first} if all(found.values()) else {}
    if not transforms:
        return ()
    return (FieldAugmentation(transforms, Layout(tuple((n, _spec(transforms.get(n), s)) for n, s in read.specs))),)


def _spec(transform: Transform | None, read: ArraySpec) -> Any:
    return read if transform is None else transform.spec


def _is_image(read: ArraySpec, sides: Collection[tuple[int, ...]] = ()) -> bool:
    """Whether OpenCV augments such an array; one with these `sides`, those of a mask, may have any channels."""
    channels = read.shape[2] if len(read.shape) == 3 else 1
    right_shape = len(read.shape) in (2, 3) and (1 <= channels <= MOST_CHANNELS or read.shape[:2] in sides)
    return right_shape and read.dtype.name in DTYPES


def _refuse_other_than_images(settings: Augment, read: ArraySpec) -> None:
    if not _is_image(read):
        raise DataError(
            f"data.augment needs images of height×width or height×width×1 to {MOST_CHANNELS}, of dtype "
            f"{', '.join(DTYPES)}, got samples of {read}; remove data.augment, or augment them in a function of yours "
            "(data.transform)"
        )
    _refuse_settings(settings, read)


def _refuse_settings(settings: Augment, read: ArraySpec) -> None:
    """Raise `DataError` for settings that such images cannot follow."""
    shape = read.shape
    if settings.tones and read.dtype != np.uint8:
        raise DataError(
            f"data.augment.brightness and data.augment.contrast need 8-bit images, got samples of {read}; set both to "
            "0, or change the values in a function of yours (data.transform)"
        )
    if settings.colors and (read.dtype != np.uint8 or shape[2:] != (RGB,)):
        raise DataError(
            f"data.augment.hue and data.augment.saturation need 8-bit images of {RGB} channels, got samples of {read}; "
            "set data.augment.hue=0 and data.augment.saturation=null"
        )
    if settings.grayscale and shape[2:] != (RGB,):
        raise DataError(f"data.augment.grayscale needs images of {RGB} channels, got samples of {read}; set it to 0")
    if settings.erasing:
        _refuse_fill(settings.erasing.fill_value, read)
    if settings.crop and (settings.crop[0] > shape[0] or settings.crop[1] > shape[1]):
        raise DataError(
            f"data.augment.crop must fit into samples of {read}, got {shape_text(settings.crop)}; lower it, or read "
            "larger images (data.target_size)"
        )


def _refuse_fill(value: float | None, read: ArraySpec) -> None:
    """Raise `DataError` for a value that erased pixels of such images cannot have."""
    if value is None and read.dtype != np.uint8:
        raise DataError(
            f"data.augment.erasing.fill_value must be a number for samples of {read}, got null, which is noise for "
            "8-bit images; set data.augment.erasing.fill_value=0"
        )
    most = np.iinfo(read.dtype).max if read.dtype.kind == "u" else None
    if value is not None and most is not None and not 0 <= value <= most:
        raise DataError(
            f"data.augment.erasing.fill_value must be from 0 to {most} for samples of {read}, got {value:g}"
        )


@dataclass(frozen=True)
class Augmentation:
    """Crops, moves and tones an image by the draws of (seed, pass, index); or moves its mask in the same way."""

    settings: Augment
    spec: ArraySpec
    seed: int
    mask_fill: int | None = None
    """For a mask the code outside of it, where `fill_mode` is constant; None for an image."""

    def __call__(self, values: Values, number: int, index: int) -> Values:
        """The augmented image, or the mask with codes of its own, never between two of them."""
        draws = Draws.of(self.seed, number, index)
        changed: Array
        if values.ndim == 3 and values.shape[2] > MOST_CHANNELS:
            starts = range(0, values.shape[2], MOST_CHANNELS)
            parts = [self._changed(values[..., start : start + MOST_CHANNELS], draws) for start in starts]
            changed = np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=2)
        else:
            changed = self._changed(values, draws).reshape(self.spec.shape)  # OpenCV drops the axis of a single channel
        if self.settings.erasing is None or self.mask_fill is not None:
            return changed
        return erased(changed, self.settings.erasing, draws, noise=noise_seed(self.seed, number, index))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the augmented image."""
        return self.spec.shape[0], self.spec.shape[1]

    def _changed(self, image: Array, draws: Draws) -> Array:
        placed = place(image, self.settings, draws, self.size, self.mask_fill)
        return repainted(placed, self.settings, draws) if self.mask_fill is None else placed


@dataclass(frozen=True)
class FieldAugmentation:
    """Augments the images among the arrays of a sample, by name; the others stay as they are."""

    transforms: Mapping[str, Transform]
    spec: Layout

    def __call__(self, values: Values, number: int, index: int) -> Values:
        """The sample with its images augmented by the same draws."""
        changed = {name: transform(values.arrays[name], number, index) for name, transform in self.transforms.items()}
        return Fields({**values.arrays, **changed})


@dataclass(frozen=True)
class CenterCrop:
    """Crops the largest centred part with the aspect ratio of `spec`, and resizes it.

    `keras.layers.RandomCrop` documents this for inference. A mask is resized by nearest.
    """

    spec: ArraySpec
    is_mask: bool = False

    def __call__(self, values: Values, number: int, index: int) -> Values:
        """The resized centre, in every pass alike."""
        fitted = np.empty(self.spec.shape, self.spec.dtype)
        box = crop_box(values.shape[:2], fitted.shape[:2], keep_aspect_ratio=True)
        with_channels = (*fitted.shape[:2], *(fitted.shape[2:] or (1,)))
        resize = resize_nearest if self.is_mask else resize_antialiased
        resize(values.reshape(*values.shape[:2], -1), box, fitted.reshape(with_channels))
        return fitted
