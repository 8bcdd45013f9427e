"""`decode=fast`: nearest and bilinear by libjpeg-turbo and OpenCV, which hold no GIL.

Which decoder reads the images of a data set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg

from runner.batch import Array, ArraySpec
from runner.errors import BadSampleError
from runner.images.crop import Box, crop_box
from runner.images.exact import ExactReader, is_16_bit
from runner.images.reader import FileBytes, FileReader, decoding, read_bytes, reason
from runner.images.resize import resize_antialiased, resize_linear, resize_nearest, scratch_bytes
from runner.images.settings import ColorMode, ImageSettings

_JPEG = b"\xff\xd8\xff"
_COLORS = {"grayscale": "GRAY", "rgb": "RGB", "rgba": "RGBA"}
_MAX_PIXELS = 89_478_485
"""Larger images are Pillow's to warn of or to refuse: its `MAX_IMAGE_PIXELS`."""
_FACTORS = ((4, 10.5), (2, 5.25))
"""How many times smaller to decode an image that shrinks at least so much, most first.

Of libjpeg-turbo's factors only 2, 4 and 8 have quick code; 8 takes detail that shrinking 30 times still shows.
More than 2.6 times is left to shrink by `resize_antialiased`: the error on photographs is 0.6 to 0.9.
"""
_CROP_FACTORS = tuple((factor, 2 * shrink) for factor, shrink in _FACTORS)
"""For the centre of an image: its edges fall between the pixels, which must be smaller therefore."""
_QUICK_COLORS = 1.5
"""From here on colours that are stored at half the size are not interpolated: the error grows by 0.1 to 0.2."""


@dataclass(frozen=True, slots=True)
class FastReader(FileReader):
    """Reads JPEG with libjpeg-turbo, other formats with Pillow, and resizes with OpenCV.

    `nearest`, and every image that has the target's size already: the pixels of `decode=exact`.
    `bilinear`: a mean error below 1 of 255 on photographs. With `antialias=False` always the pixels of
    `image_dataset_from_directory`, rounded: TensorFlow decodes JPEG with the quick DCT, and so does this.
    What libjpeg-turbo refuses or does not know (CMYK, damaged files that can be mended) is left to
    the exact reader.
    """

    settings: ImageSettings
    spec: ArraySpec

    def read(self, path: Path | str, out: Array) -> FileBytes:
        """Read the image at `path` into `out`; return the file's bytes. Raises `BadSampleError`."""
        data = read_bytes(path)
        with decoding:
            if not (data.startswith(_JPEG) and self._read_jpeg(data, out)):
                self._read_other(data, path, out)
        return (data,)

    def _read_jpeg(self, data: bytes, out: Array) -> bool:
        """Whether `out` holds the image now; if not, Pillow must read it or say what is wrong with it."""
        try:
            height, width, stored_colors, _ = simplejpeg.decode_jpeg_header(data)
            if not self._decodes(height, width, stored_colors):
                return False
            if (height, width) == self.settings.target_size:
                colors = _COLORS[self.settings.color_mode]
                simplejpeg.decode_jpeg(data, colors, fastdct=self._as_tensorflow, buffer=out)
                return True
            box = self._box(height, width)
            factor = self._factor(box, whole=(box.height, box.width) == (height, width))
            size = -(-height // factor), -(-width // factor)
            image = self._decode_smaller(data, size, factor, quick_colors=self._shrink(box) >= _QUICK_COLORS)
        except ValueError:
            return False
        self._resize(image, box.shrunk(factor), out)
        return True

    def _decode_smaller(self, data: bytes, size: tuple[int, int], factor: int, *, quick_colors: bool) -> Array:
        """The image in scratch memory, `factor` times smaller: of `size` (height, width)."""
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
        """Whether libjpeg-turbo gives the pixels promised."""
        settings = self.settings
        if height * width > _MAX_PIXELS or stored_colors in ("CMYK", "YCCK") or self._is_float:
            return False
        # libjpeg-turbo's gray is the stored luma, Pillow's is computed from red, green and blue:
        # close, but not the same pixels
        is_whole = (height, width) == settings.target_size and not self._as_tensorflow
        must_equal = settings.interpolation == "nearest" or is_whole
        return not (must_equal and settings.color_mode == "grayscale" and stored_colors != "Gray")

    def _read_other(self, data: bytes, path: Path | str, out: Array) -> None:
        exact = ExactReader(self.settings, self.spec)
        image = exact.decode(data, path)
        same_size = (image.height, image.width) == self.settings.target_size
        # Pillow weighs colours with their alpha; OpenCV lets transparent colours bleed
        if same_size or (image.mode == "RGBA" and self._antialiased):
            exact.write(image, path, out)
            return
        try:
            box = self._box(image.height, image.width)
        except ValueError as error:
            raise BadSampleError(str(path), reason(error)) from error
        self._resize(np.asarray(image).reshape(image.height, image.width, -1), box, out)

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
        """How many times smaller to decode; 1 where each pixel counts."""
        shrink = self._shrink(box)
        for factor, least_shrink in _FACTORS if whole else _CROP_FACTORS:
            if shrink >= least_shrink:
                return factor
        return 1

    def _shrink(self, box: Box) -> float:
        """How many pixels make one, along the axis that has fewer; 1 where each pixel counts."""
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
"""Files that are looked at, at most, for one whose header can be read."""

CHANNELS: dict[ColorMode, int] = {"grayscale": 1, "rgb": 3, "rgba": 4}


def open_reader(settings: ImageSettings, *first: Path) -> FileReader:
    """What reads the images of one data set; `first` are any of its files, and only a header is read.

    Batches are uint8; float32 if `color_mode` is grayscale and the first that has a readable header a 16-bit image,
    and then every image is divided by the white of its own depth. Files that cannot be read count as 8-bit here;
    reading them names what is wrong.
    """
    deep = settings.color_mode == "grayscale" and is_16_bit(*first)
    shape = (*settings.target_size, CHANNELS[settings.color_mode])
    spec = ArraySpec(shape, np.dtype(np.float32 if deep else np.uint8))
    if settings.decode == "fast" and settings.interpolation in ("nearest", "bilinear"):
        return FastReader(settings, spec)
    return ExactReader(settings, spec)
