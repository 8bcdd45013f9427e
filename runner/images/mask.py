"""Masks: image files whose pixels are class numbers or colours, read as they are stored."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from runner.batch import Array, ArraySpec
from runner.errors import BadSampleError, reason
from runner.images.crop import crop_box
from runner.images.decoder import refuse_bomb
from runner.images.exact import BITS_PER_VALUE, opened
from runner.images.mask_classes import MaskClasses
from runner.images.resize import resize_mask
from runner.images.settings import ImageSettings
from runner.place import Bytes, Place

LOSSY_FORMATS = ("JPEG", "WEBP")
LOSSY_COMPRESSIONS = ("jpeg", "tiff_jpeg", "webp")
OPAQUE = 255

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH = 24
"""Where a PNG file says how many bits a value has."""
BMP_DEPTH = 28
"""Where a BMP file says how many bits a pixel has."""


@dataclass(frozen=True)
class MaskDecoder:
    """Reads masks to class codes, cut and resized like their images: each pixel shows the one under its centre."""

    classes: MaskClasses
    settings: ImageSettings

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of a mask in a batch."""
        return ArraySpec(self.settings.target_size, self.classes.dtype)

    def decode(self, data: Bytes, name: str, image_size: tuple[int, ...], out: Array) -> None:
        """Decode a mask into `out`; `image_size` is the height and width of its image as it is stored.

        Raises `BadSampleError` if the mask cannot be read exactly, has another size than the image as it is stored, or
        a value without a class.
        """
        try:
            values = stored_values(data, colors=self.classes.are_colors)
            _refuse_other_size(values.shape[:2], image_size)
            # Fewer values are looked up once the mask is small, if it is known that all have a class.
            looks_up_later = self.classes.has_all(values)
            codes = values if looks_up_later else self.classes.codes(values)
            box = crop_box(codes.shape, out.shape, keep_aspect_ratio=self.settings.keep_aspect_ratio)
        except MemoryError:
            raise
        # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error and others.
        except Exception as error:
            raise BadSampleError(name, reason(error)) from error
        if codes.shape == out.shape:
            out[...] = codes
        else:
            resize_mask(codes, box, out)
        if looks_up_later:
            self.classes.look_up(out)


def stored_values(data: Bytes, *, colors: bool) -> Array:
    """The pixels of an image file as they are stored: whole numbers, shape `(height, width)`.

    With `colors`, red, green and blue, shape `(height, width, 3)`, uint8. Raises `ValueError` for a file that does not
    hold its pixels exactly, or other ones.
    """
    image = opened(io.BytesIO(data))
    refuse_bomb(image.height, image.width, len(data))
    lossy = image.format in LOSSY_FORMATS or image.info.get("compression") in LOSSY_COMPRESSIONS
    if lossy:
        raise ValueError("JPEG and WebP blur the values of a mask; save it as PNG")
    _refuse_lost_bits(image, data)
    if image.mode == "F":
        raise ValueError("the values of a mask must be whole numbers, got floats; save them with 8 or 16 bits")
    return _colors(image) if colors else _numbers(image, data)


def _refuse_other_size(mask: tuple[int, ...], image: tuple[int, ...]) -> None:
    if mask != image:
        exif = "; was it drawn on the image as its EXIF orientation turns it? Images are read as they are stored"
        turned = exif if mask == image[::-1] else ""
        sizes = "{1}x{0}".format(*mask), "{1}x{0}".format(*image)
        raise ValueError(f"a mask must have the size of its image, {sizes[1]} pixels, got {sizes[0]}{turned}")


def _refuse_lost_bits(image: Image.Image, data: Bytes) -> None:
    """Raise `ValueError` for files that Pillow reads with fewer bits than they have, or wrongly."""
    if image.format == "PNG" and data[PNG_DEPTH] == 16 and not image.mode.startswith("I"):
        raise ValueError("colours of a mask must have 8 bits each, got 16; save it as 8-bit PNG")
    depth = int.from_bytes(data[BMP_DEPTH : BMP_DEPTH + 2], "little") if image.format == "BMP" else 8
    if image.mode == "L" and depth != 8:
        raise ValueError(f"a BMP file of {depth} bits in gray cannot be read exactly; save the mask as PNG")


def _numbers(image: Image.Image, data: Bytes) -> Array:
    """Values of one channel; of colours, if red, green and blue are equal everywhere."""
    values = np.asarray(image)
    if image.mode == "1":
        return values.astype(np.uint8)
    if image.mode == "L":
        bits = _depth(image, data)
        # Pillow multiplies values of 2 and 4 bits, so that the largest is 255.
        return values if bits == 8 else values // (255 // (2**bits - 1))
    if values.ndim == 2:  # palette, 16 and 32 bits
        return values
    channels = _opaque(image, values)
    first = channels[..., 0]
    if any((channels[..., number] != first).any() for number in range(1, channels.shape[2])):
        raise ValueError("a mask of class numbers must have one channel, got colours; data.mask_colors reads them")
    return np.ascontiguousarray(first)


def _colors(image: Image.Image) -> Array:
    """Red, green and blue; of a palette, those of its colours."""
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        found: Array = palette[np.asarray(image)]
        return found
    values = np.asarray(image.convert("L") if image.mode == "1" else image)
    if values.dtype != np.uint8:
        raise ValueError("a mask of colours must have 8 bits per value, got more; data.mask_values reads numbers")
    if values.ndim == 2:
        return np.repeat(values[..., None], 3, axis=2)
    channels = _opaque(image, values)
    return channels if channels.shape[2] == 3 else np.repeat(channels, 3, axis=2)


def _opaque(image: Image.Image, values: Array) -> Array:
    """The channels without alpha, where no pixel is transparent."""
    if image.mode not in ("RGB", "RGBA", "LA"):
        raise ValueError(f"a mask must hold numbers, or red, green and blue, got colours of mode {image.mode}")
    if image.mode == "RGB":
        return values
    if (values[..., -1] != OPAQUE).any():
        raise ValueError("a mask must not be transparent; save it without an alpha channel")
    return values[..., :-1]


def _depth(image: Image.Image, data: Bytes) -> int:
    """Bits per value of a gray image."""
    if data[: len(PNG_SIGNATURE)] == PNG_SIGNATURE:
        return data[PNG_DEPTH]
    if image.format == "TIFF":
        return int(max(getattr(image, "tag_v2", {}).get(BITS_PER_VALUE, (8,))))
    return 8


def read_mask_values(place: Place, *, colors: bool) -> Array:
    """The stored values of the mask at `place`. Raises `BadSampleError`."""
    data = place.read()
    try:
        return stored_values(data, colors=colors)
    except MemoryError:
        raise
    except Exception as error:
        raise BadSampleError(place.name, reason(error)) from error
