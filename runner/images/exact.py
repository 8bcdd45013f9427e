"""`decode=exact`: the pixels of `keras.utils.load_img`, by Pillow."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from runner.batch import Array, ArraySpec
from runner.errors import BadSampleError, reason
from runner.images.crop import crop_box
from runner.images.decoder import Decoder, refuse_bomb
from runner.images.settings import ImageSettings
from runner.messages import plural
from runner.place import Bytes, Place, open_file

MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP")
"""Pillow's names of the formats that are read; those of the listed suffixes, whatever a file's own suffix is."""

MOST_HEADERS = 10
"""Files whose orientation is looked at."""
ORIENTATION, UPRIGHT = 0x0112, 1
"""The EXIF tag of the orientation, and its value for an image that is stored as it is shown."""

_WHITE = 65_535
"""White in a 16-bit image."""


@dataclass(frozen=True, slots=True)
class ExactDecoder(Decoder):
    """Reads any file that Pillow reads, bit for bit like `load_img`: no EXIF rotation, only the first frame.

    16-bit grayscale is scaled; `load_img` clips it at 255 or leaves it unscaled.
    """

    settings: ImageSettings
    spec: ArraySpec

    def decode(self, data: Bytes, name: str, out: Array) -> tuple[int, int]:
        """Decode an image into `out`; return its height and width. Raises `BadSampleError`."""
        image = self.image(data, name)
        self.write(image, name, out)
        return image.height, image.width

    def image(self, data: Bytes, name: str) -> Image.Image:
        """The whole image, of mode L, RGB or RGBA, or of mode F (0..1) if the spec is float32.

        Raises `BadSampleError`.
        """
        try:
            return _decoded(data, MODES[self.settings.color_mode], as_float=self.spec.dtype == np.float32)
        except MemoryError:
            raise
        # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error and others.
        except Exception as error:
            raise BadSampleError(name, reason(error)) from error

    def write(self, image: Image.Image, name: str, out: Array) -> None:
        """Resize a decoded image into `out`.

        Raises `BadSampleError` if the image is too thin to crop to the target's aspect ratio.
        """
        try:
            image = self._resized(image)
        except ValueError as error:
            raise BadSampleError(name, reason(error)) from error
        out[...] = np.asarray(image).reshape(self.spec.shape)
        if out.dtype == np.float32:
            np.clip(out, 0, 1, out=out)  # Bicubic and Lanczos overshoot. Pillow clips only 8-bit images.

    def _resized(self, image: Image.Image) -> Image.Image:
        height, width = target_size = self.settings.target_size
        if image.size == (width, height):
            return image
        keep = self.settings.keep_aspect_ratio
        box = crop_box((image.height, image.width), target_size, keep_aspect_ratio=keep)
        resampling = FILTERS[self.settings.interpolation]
        return image.resize((width, height), resampling, box=(box.left, box.top, box.right, box.bottom))


BITS_PER_VALUE = 258
"""TIFF's tag for the size of a value."""

WIDE = "save it with 8 or 16 bits per value, or its values as an .npy file, which data=npy reads"


def is_16_bit(*files: Path | Place) -> bool:
    """Whether the first of `files` with a readable header is a 16-bit grayscale image; False if none is readable."""
    for one in files:
        with suppress(Exception), _stream(one) as file, opened(file) as image:
            return _has_16_bits(image)
    return False


def orientation_notes(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """A note if some of ten JPEG files in `folder`, spread over `names`, have an EXIF orientation: it is not used."""
    chosen, turned = names[:: max(1, len(names) // MOST_HEADERS)][:MOST_HEADERS], 0
    for name in chosen:
        with suppress(Exception), _stream(folder / name) as file, opened(file) as image:
            turned += image.format == "JPEG" and image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT
    if turned:
        yield (
            f"{turned} of {plural(len(chosen), 'image')} looked at {'has' if turned == 1 else 'have'} an EXIF "
            "orientation, and images are read as they are stored; PIL.ImageOps.exif_transpose turns them beforehand"
        )


def _stream(one: Path | Place) -> IO[bytes]:
    return io.BytesIO(one.fetch()) if isinstance(one, Place) else os.fdopen(open_file(one)[0], "rb")


def opened(file: IO[bytes]) -> Image.Image:
    """The image in `file`, of which only the header is read.

    Only the formats of `FORMATS` are tried: Pillow passes a file of another one, PostScript, to an outside program.
    """
    return Image.open(file, formats=FORMATS)


def _has_16_bits(image: Image.Image) -> bool:
    return image.mode == "I" or image.mode.startswith("I;16")


def _decoded(data: Bytes, mode: str, *, as_float: bool) -> Image.Image:
    image = opened(io.BytesIO(data))
    refuse_bomb(image.height, image.width, len(data))
    if image.mode == "F":
        raise ValueError(f"gray values are floats, whose black and white are unknown; {WIDE}")
    image.load()
    if _has_16_bits(image):
        values = _values_of_16_bits(image)
        if as_float:
            return Image.fromarray(values.astype(np.float32) / np.float32(_WHITE))
        # 65,535 = 255 x 257. No value lies half-way, because 257 is odd.
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode != mode:
        image = _converted(image, mode)
    return Image.fromarray(np.asarray(image, np.float32) / np.float32(255)) if as_float else image


def _values_of_16_bits(image: Image.Image) -> Array:
    """Values as int32. Raises `ValueError` if they have more than 16 bits, which mode I allows."""
    values = np.asarray(image).astype(np.int32)
    low, high = int(np.min(values)), int(np.max(values))
    if low < 0 or high > _WHITE:
        raise ValueError(f"gray values must be 0 to {_WHITE:,}, got {low:,} to {high:,}; save the image with 16 bits")
    if image.format == "TIFF" and max(getattr(image, "tag_v2", {}).get(BITS_PER_VALUE, ())) > 16:
        raise ValueError(f"gray values have 32 bits, whose white is unknown; {WIDE}")
    return values


def _converted(image: Image.Image, mode: str) -> Image.Image:
    # Pillow drops a palette's transparency table here anyway, but warns for every image.
    if mode != "RGBA" and isinstance(image.info.get("transparency"), bytes):
        del image.info["transparency"]
    return image.convert(mode)
