"""`decode=fast`: JPEG by libjpeg-turbo and resizing by OpenCV, which release the GIL; and the choice of a reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg

from runner.batch import Array, ArraySpec
from runner.errors import BadSampleError, reason
from runner.images.crop import Box, crop_box
from runner.images.decoder import Decoder, refuse_bomb
from runner.images.exact import ExactDecoder, is_16_bit
from runner.images.resize import resize_antialiased, resize_linear, resize_nearest, scratch_bytes
from runner.images.settings import ColorMode, ImageSettings
from runner.place import Bytes, Place

_JPEG = b"\xff\xd8\xff"
_COLORS = {"grayscale": "GRAY", "rgb": "RGB", "rgba": "RGBA"}
_MAX_PIXELS = 89_478_485
"""Pillow's `MAX_IMAGE_PIXELS`. Pillow reads larger images, to warn about them or refuse them."""
_FACTORS = ((4, 10.5), (2, 5.25))
"""Pairs of a factor, by which libjpeg-turbo shrinks an image, and the total shrinking that needs it; largest first.

libjpeg-turbo has fast code for 2, 4 and 8 only; 8 loses detail that is visible even when an image shrinks 30 times.
More than 2.6 times is left to `resize_antialiased`: the error on photographs is 0.6 to 0.9.
"""
_CROP_FACTORS = tuple((factor, 2 * shrink) for factor, shrink in _FACTORS)
"""The same for the centre of an image. Its edges fall between pixels, so the pixels must be smaller."""
_QUICK_COLORS = 1.5
"""Shrinking from which colours stored at half size are not interpolated; the error grows by 0.1 to 0.2."""


@dataclass(frozen=True, slots=True)
class FastDecoder(Decoder):
    """Reads JPEG with libjpeg-turbo, other formats with Pillow, and resizes with OpenCV.

    `nearest`, and images of the target's size, have the pixels of `decode=exact`. `bilinear` has a mean error below 1
    of 255 on photographs. With `antialias=False` the pixels are those of `image_dataset_from_directory`, rounded: both
    decode JPEG with the fast DCT. The exact reader reads what libjpeg-turbo refuses or cannot decode: CMYK, and damaged
    files that can be repaired.
    """

    settings: ImageSettings
    spec: ArraySpec

    def decode(self, data: Bytes, name: str, out: Array) -> tuple[int, int]:
        """Decode an image into `out`; return its height and width. Raises `BadSampleError`."""
        size = self._decode_jpeg(data, out) if data[: len(_JPEG)] == _JPEG else None
        return self._decode_other(data, name, out) if size is None else size

    def _decode_jpeg(self, data: Bytes, out: Array) -> tuple[int, int] | None:
        """Decode a JPEG image into `out`; None if Pillow must read it, or report what is wrong with it."""
        try:
            height, width, stored_colors, _ = simplejpeg.decode_jpeg_header(data)
            refuse_bomb(height, width, len(data))
            if not self._decodes(height, width, stored_colors):
                return None
            if (height, width) == self.settings.target_size:
                colors = _COLORS[self.settings.color_mode]
                simplejpeg.decode_jpeg(data, colors, fastdct=self._as_tensorflow, buffer=out)
                return height, width
            box = self._box(height, width)
            factor = self._factor(box, whole=(box.height, box.width) == (height, width))
            size = -(-height // factor), -(-width // factor)
            image = self._decode_smaller(data, size, factor, quick_colors=self._shrink(box) >= _QUICK_COLORS)
        except ValueError:
            return None
        self._resize(image, box.shrunk(factor), out)
        return height, width

    def _decode_smaller(self, data: Bytes, size: tuple[int, int], factor: int, *, quick_colors: bool) -> Array:
        """Decode an image into scratch memory at 1/`factor` of its size, `size` (height, width)."""
        height, width = size
        colors = _COLORS[self.settings.color_mode]
        buffer = scratch_bytes("image", height * width * self.spec.shape[2])
        image: Array = simplejpeg.decode_jpeg(
            data,
            colors,
            fastdct=self._as_tensorflow,
            fastupsample=quick_colors,
            min_height=height,
            min_width=width,
            min_factor=factor,
            buffer=buffer,
        )
        return image

    def _decodes(self, height: int, width: int, stored_colors: str) -> bool:
        """Whether libjpeg-turbo gives the right pixels."""
        settings = self.settings
        if height * width > _MAX_PIXELS or stored_colors in ("CMYK", "YCCK") or self._is_float:
            return False
        # libjpeg-turbo's gray is the stored luma. Pillow computes gray from red, green and blue, which is close but
        # not equal.
        is_whole = (height, width) == settings.target_size and not self._as_tensorflow
        must_equal = settings.interpolation == "nearest" or is_whole
        return not (must_equal and settings.color_mode == "grayscale" and stored_colors != "Gray")

    def _decode_other(self, data: Bytes, name: str, out: Array) -> tuple[int, int]:
        exact = ExactDecoder(self.settings, self.spec)
        image = exact.image(data, name)
        size = image.height, image.width
        same_size = size == self.settings.target_size
        # Pillow weighs colours by alpha. With OpenCV transparent colours would bleed.
        if same_size or (image.mode == "RGBA" and self._antialiased):
            exact.write(image, name, out)
            return size
        try:
            box = self._box(*size)
        except ValueError as error:
            raise BadSampleError(name, reason(error)) from error
        self._resize(np.asarray(image).reshape(*size, -1), box, out)
        return size

    def _resize(self, image: Array, box: Box, out: Array) -> None:
        if self.settings.interpolation == "nearest":
            resize_nearest(image, box, out)
        elif self.settings.antialias:
            resize_antialiased(image, box, out)
        else:
            resize_linear(image, box, out)

    def _box(self, height: int, width: int) -> Box:
        settings = self.settings
        keep = settings.keep_aspect_ratio
        return crop_box((height, width), settings.target_size, keep_aspect_ratio=keep)

    def _factor(self, box: Box, *, whole: bool) -> int:
        """The factor by which to shrink while decoding; 1 if every pixel counts."""
        shrink = self._shrink(box)
        for factor, least_shrink in _FACTORS if whole else _CROP_FACTORS:
            if shrink >= least_shrink:
                return factor
        return 1

    def _shrink(self, box: Box) -> float:
        """Image pixels per target pixel, along the axis with fewer; 1 if every pixel counts."""
        height, width = self.settings.target_size
        return min(box.height / height, box.width / width) if self._antialiased else 1

    @property
    def _antialiased(self) -> bool:
        return self.settings.antialias and self.settings.interpolation == "bilinear"

    @property
    def _as_tensorflow(self) -> bool:
        return not self.settings.antialias and self.settings.interpolation == "bilinear"

    @property
    def _is_float(self) -> bool:
        return self.spec.dtype == np.float32


FIRST = 10
"""Files to try, at most, until one has a readable header."""

CHANNELS: dict[ColorMode, int] = {"grayscale": 1, "rgb": 3, "rgba": 4}


def open_decoder(settings: ImageSettings, *first: Path | Place) -> Decoder:
    """The reader of the images of a dataset; `first` are some of its files, of which only one header is read.

    Arrays have shape `(height, width, channels)` and dtype uint8. They are float32 in 0..1 if `color_mode` is grayscale
    and the first readable header is that of a 16-bit image; each image is then divided by the white of its bit depth.
    Files that cannot be read count as 8-bit.
    """
    return decoder_of(settings, deep=settings.color_mode == "grayscale" and is_16_bit(*first))


def decoder_of(settings: ImageSettings, *, deep: bool) -> Decoder:
    """The decoder of images whose arrays are uint8; with `deep`, of 16 bits, float32."""
    shape = (*settings.target_size, CHANNELS[settings.color_mode])
    spec = ArraySpec(shape, np.dtype(np.float32 if deep else np.uint8))
    if settings.decode == "fast" and settings.interpolation in ("nearest", "bilinear"):
        return FastDecoder(settings, spec)
    return ExactDecoder(settings, spec)
