"""Augmentation of images: random draws, crop, placement by a single interpolation, brightness and contrast.

The draws depend on the seed, the pass and the sample only, so every loader and worker augments alike.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import cv2
import numpy as np

from runner.batch import Array, ArraySpec
from runner.errors import DataError
from runner.fields import Fields, Layout, SampleSpec, Values
from runner.images.crop import crop_box
from runner.images.resize import resize_antialiased, resize_nearest
from runner.messages import shape_text
from runner.seeds import Purpose, derive
from runner.transforms.settings import Augment, FillMode
from runner.transforms.transform import Transform

LEVELS = np.arange(256)

BORDERS: dict[FillMode, int] = {
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
}

HALF = 0.5
"""The share of images that are flipped."""

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
    if not settings:
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
    if settings.crop and (settings.crop[0] > shape[0] or settings.crop[1] > shape[1]):
        raise DataError(
            f"data.augment.crop must fit into samples of {read}, got {shape_text(settings.crop)}; lower it, or read "
            "larger images (data.target_size)"
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
        image: Array = window(values, *self.settings.crop, draws) if self.settings.crop else values
        if image.ndim == 3 and image.shape[2] > MOST_CHANNELS:
            starts = range(0, image.shape[2], MOST_CHANNELS)
            parts = [self._changed(image[..., start : start + MOST_CHANNELS], draws) for start in starts]
            return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=2)
        return self._changed(image, draws).reshape(self.spec.shape)  # OpenCV drops the axis of a single channel

    def _changed(self, image: Array, draws: Draws) -> Array:
        placed = place(image, self.settings, draws, self.mask_fill)
        return tone(placed, self.settings, draws) if self.settings.tones and self.mask_fill is None else placed


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


class Draws(NamedTuple):
    """Random points of [0, 1), one per decision, used or not: no setting affects the draws of another.

    New decisions must be added at the end, so that each draw keeps its place in the stream.
    """

    flip_horizontal: float
    flip_vertical: float
    crop_top: float
    crop_left: float
    move_down: float
    move_right: float
    turn: float
    zoom: float
    brightness: float
    contrast: float

    @classmethod
    def of(cls, seed: int, number: int, index: int) -> Self:
        """The draws for sample `index` in pass `number`, a hash of the three arguments."""
        words = derive(seed, Purpose.AUGMENT, number, index).generate_state(len(cls._fields), np.uint64)
        # The upper 53 bits, which a float64 holds exactly.
        return cls(*((words >> np.uint64(11)) * np.float64(2**-53)).tolist())


def window(image: Array, height: int, width: int, draws: Draws) -> Array:
    """A random part of `image` of the given size, as a view; every position is equally likely."""
    top = int(draws.crop_top * (image.shape[0] - height + 1))
    left = int(draws.crop_left * (image.shape[1] - width + 1))
    return image[top : top + height, left : left + width]


def place(image: Array, settings: Augment, draws: Draws, mask_fill: int | None = None) -> Array:
    """Flip and move `image`, shape `(height, width)` or `(height, width, channels)`; the result has the same shape.

    Flips alone keep the exact pixels. All other movements, and flips with them, are one linear interpolation; of a mask
    each pixel shows the nearest one, or `mask_fill` where there is none.
    """
    horizontal = settings.flip in ("horizontal", "horizontal_and_vertical") and draws.flip_horizontal < HALF
    vertical = settings.flip in ("vertical", "horizontal_and_vertical") and draws.flip_vertical < HALF
    if settings.moves:
        height, width = image.shape[:2]
        matrix = inverse_matrix(height, width, settings, draws) @ np.diag(
            [-1 if horizontal else 1, -1 if vertical else 1, 1]
        )
        return _interpolated(image, matrix, settings.fill_mode, mask_fill)
    if horizontal or vertical:
        flipped: Array = cv2.flip(image, -1 if horizontal and vertical else int(horizontal))
        return flipped
    return image


def inverse_matrix(height: int, width: int, settings: Augment, draws: Draws) -> Array:
    """The 3×3 matrix from a pixel of the result, (column, row, 1) from the centre, to its place in the image.

    As in Keras's layers, a positive rotation is counterclockwise, and a zoom above 1 shows more of the image.
    """
    down, right = settings.translation or (0.0, 0.0)
    zoom = 1 + symmetric(draws.zoom, settings.zoom)
    turn = 2 * math.pi * symmetric(draws.turn, settings.rotation)
    cos, sin = zoom * math.cos(turn), zoom * math.sin(turn)
    columns, rows = symmetric(draws.move_right, right) * width, symmetric(draws.move_down, down) * height
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    moved: Array = matrix @ np.array([[1, 0, -columns], [0, 1, -rows], [0, 0, 1]])
    return moved


def _interpolated(image: Array, matrix: Array, fill_mode: FillMode, mask_fill: int | None) -> Array:
    height, width = image.shape[:2]
    centre = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    from_corner = centre @ matrix @ np.linalg.inv(centre)
    warped: Array = cv2.warpAffine(
        image,
        from_corner[:2],
        (width, height),
        flags=cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if mask_fill is None else cv2.INTER_NEAREST),
        borderMode=BORDERS[fill_mode],
        borderValue=mask_fill or 0,
    )
    return warped


def tone(image: Array, settings: Augment, draws: Draws) -> Array:
    """`image`, uint8, with random brightness and contrast; each value is looked up, so it is rounded once."""
    offset = 255 * symmetric(draws.brightness, settings.brightness)
    factor = 1 + symmetric(draws.contrast, settings.contrast)
    channels = image.shape[2] if image.ndim == 3 else 1
    means = np.array(cv2.mean(image)[:channels]) if settings.contrast else np.zeros(1)
    levels = (LEVELS[:, None] - means) * factor + means + offset
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    toned: Array = cv2.LUT(image, table[None])
    return toned


def symmetric(point: float, most: float) -> float:
    """Map a point of [0, 1) to the range from `-most` to `most`."""
    return (2 * point - 1) * most
