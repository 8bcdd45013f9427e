"""Masks: whole numbers are read exactly however they are stored, the rest is refused, and masks fit their images."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from runner.batch import ArraySpec
from runner.errors import BadSampleError
from runner.images import resize
from runner.images.exact import ExactDecoder
from runner.images.fast import FastDecoder
from runner.images.mask import MaskDecoder, stored_values
from runner.images.mask_classes import MaskClasses
from runner.images.settings import ImageSettings

STORED = np.array([[0, 1, 2, 3, 1], [3, 2, 1, 0, 2]], np.uint8)
TWO = (STORED > 1).astype(np.uint8)
PALETTE = [9, 9, 9, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def encoded(image, kind, **settings):
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def with_palette(values):
    image = Image.fromarray(values)
    image.putpalette(PALETTE)
    return image


def gray_png(values, bits):
    """A PNG of 1, 2 or 4 bits per gray value, which Pillow does not write."""
    texts = ["".join(format(value, f"0{bits}b") for value in row) for row in values.tolist()]
    packed = [int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big") for text in texts]

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row for row in packed))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gray_bmp(bits):
    """A BMP of 4 bits per pixel, whose palette is the grays 0 to 15: Pillow takes its bytes for pixels."""
    palette = b"".join(struct.pack("BBBB", gray, gray, gray, 0) for gray in range(2**bits))
    rows = b"".join(bytes([0x01, 0x23, 0x10, 0]) for _ in range(2))
    start = 54 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, 5, 2, 1, bits, 0, len(rows), 0, 0, 2**bits, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + palette + rows


EXACT = {
    "gray png": (encoded(Image.fromarray(STORED), "PNG"), STORED),
    "gray png of 2 bits": (gray_png(STORED, 2), STORED),
    "gray png of 4 bits": (gray_png(STORED, 4), STORED),
    "gray png of 1 bit": (gray_png(TWO, 1), TWO),
    "1-bit png": (encoded(Image.fromarray(TWO.astype(bool)), "PNG"), TWO),
    "1-bit tiff": (encoded(Image.fromarray(TWO.astype(bool)), "TIFF"), TWO),
    "palette png": (encoded(with_palette(STORED), "PNG"), STORED),
    "palette png of 2 bits": (encoded(with_palette(STORED), "PNG", bits=2), STORED),
    "palette gif": (encoded(with_palette(STORED), "GIF"), STORED),
    "palette bmp": (encoded(with_palette(STORED), "BMP"), STORED),
    "palette tiff": (encoded(with_palette(STORED), "TIFF", compression="tiff_lzw"), STORED),
    "gray bmp": (encoded(Image.fromarray(STORED), "BMP"), STORED),
    "gray pgm": (encoded(Image.fromarray(STORED), "PPM"), STORED),
    "16-bit png": (encoded(Image.fromarray(STORED.astype(np.uint16) * 300), "PNG"), STORED.astype(int) * 300),
    "16-bit tiff": (encoded(Image.fromarray(STORED.astype(np.uint16) * 300), "TIFF"), STORED.astype(int) * 300),
    "32-bit tiff": (encoded(Image.fromarray(STORED.astype(np.int32) * 70_000), "TIFF"), STORED.astype(int) * 70_000),
    "gray in three channels": (encoded(Image.fromarray(np.repeat(STORED[..., None], 3, 2)), "PNG"), STORED),
    "opaque gray": (encoded(Image.fromarray(STORED).convert("LA"), "PNG"), STORED),
}


@pytest.mark.parametrize("name", EXACT)
def test_whole_numbers_are_read_as_stored(name):
    data, expected = EXACT[name]
    assert np.array_equal(stored_values(data, colors=False), expected)


COLOURS = np.array([[[128, 64, 128], [244, 35, 232]], [[0, 0, 0], [128, 64, 128]]], np.uint8)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encoded(Image.fromarray(COLOURS), "PNG"), COLOURS),
        (encoded(Image.fromarray(COLOURS).convert("RGBA"), "PNG"), COLOURS),
        (encoded(with_palette(STORED), "PNG"), np.array(PALETTE, np.uint8).reshape(4, 3)[STORED]),
        (encoded(Image.fromarray(STORED), "PNG"), np.repeat(STORED[..., None], 3, 2)),
    ],
)
def test_colours_are_read_as_stored(data, expected):
    assert np.array_equal(stored_values(data, colors=True), expected)


def clear(values):
    return Image.fromarray(np.dstack([values, values, values, np.full_like(values, 254)]))


REFUSED = {
    "jpeg": (encoded(Image.fromarray(STORED), "JPEG"), "JPEG and WebP blur"),
    "jpeg in tiff": (encoded(Image.fromarray(STORED), "TIFF", compression="jpeg"), "JPEG and WebP blur"),
    "webp": (encoded(Image.fromarray(STORED), "WEBP", lossless=True), "JPEG and WebP blur"),
    "floats": (encoded(Image.fromarray(STORED.astype(np.float32)), "TIFF"), "must be whole numbers, got floats"),
    "colours": (encoded(Image.fromarray(COLOURS), "PNG"), r"one channel, got colours; data\.mask_colors reads them"),
    "transparent": (encoded(clear(STORED), "PNG"), "must not be transparent"),
    "bmp of 4 bits": (gray_bmp(4), "4 bits in gray cannot be read exactly"),
    "no image": (b"nothing", "cannot identify"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_masks_that_are_not_exact_are_refused(name):
    data, told = REFUSED[name]
    with pytest.raises((ValueError, OSError), match=told):
        stored_values(data, colors=False)


def test_deep_colours_are_refused():
    with pytest.raises(ValueError, match="must have 8 bits per value, got more; data.mask_values reads numbers"):
        stored_values(EXACT["16-bit png"][0], colors=True)


def test_classes_are_in_order_of_first_mention():
    classes = MaskClasses(((1, "pet"), (2, "pet"), (3, "ground"), (900, "edge")), ignore_value=7)
    assert (classes.names, classes.stored, classes.ignored, classes.dtype) == (
        ("pet", "ground", "edge"),
        (1, 3, 900),
        255,
        np.uint8,
    )
    assert classes.codes(np.array([[1, 2, 3], [7, 1, 900]])).tolist() == [[0, 0, 1], [255, 0, 2]]
    assert classes.codes(np.array([[1, 2], [3, 7]], np.uint8)).tolist() == [[0, 0], [1, 255]]
    of_model = MaskClasses(classes.by_value, 7, order=("edge", "ground", "pet"))
    assert of_model.codes(np.array([[1, 3, 900, 7]])).tolist() == [[2, 1, 0, 255]]
    assert of_model.stored == (900, 3, 1)


@pytest.mark.parametrize(
    ("count", "dtype", "ignored"), [(253, "uint8", 255), (255, "uint8", 255), (256, "uint16", 65_535)]
)
def test_many_classes_keep_room_for_ignored(count, dtype, ignored):
    classes = MaskClasses(tuple((value, f"class {value}") for value in range(count)), ignore_value=60_000)
    values = np.arange(count).reshape(1, -1)
    codes = classes.codes(np.append(values, [[60_000]], axis=1))
    assert codes.dtype == classes.dtype == dtype
    assert codes.tolist() == [[*range(count), ignored]]
    if count <= 256:
        assert classes.codes(values.astype(np.uint8)).tolist() == values.tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_unlisted_values_are_named_with_pixels(dtype):
    classes = MaskClasses(((0, "ground"), (255, "disc")))
    with pytest.raises(
        ValueError, match=r"does not list: 3 \(1 pixel\), 9 \(2 pixels\); list them, or set data\.ignore"
    ):
        classes.codes(np.array([[0, 9, 3], [255, 9, 0]], dtype))


def test_unlisted_colours_are_named():
    classes = MaskClasses((((128, 64, 128), "road"), ((0, 0, 0), "none")), ignore_value=(1, 2, 3))
    with pytest.raises(ValueError, match=r"data\.mask_colors does not list: \[244, 35, 232\] \(1 pixel\)"):
        classes.codes(COLOURS)
    assert classes.codes(np.array([[[1, 2, 3], [0, 0, 0], [128, 64, 128]]], np.uint8)).tolist() == [[255, 1, 0]]


DISCS = MaskClasses(((0, "ground"), (1, "disc")))


def disc(height, width, seed):
    """A disc well inside of the part of an image that a square crop shows."""
    random, side = np.random.default_rng(seed), min(height, width)
    radius = side * random.uniform(0.12, 0.25)
    rows, columns = np.mgrid[:height, :width]
    inset = [radius + 2 + (length - side) / 2 for length in (height, width)]
    centre = [random.uniform(edge, length - edge) for edge, length in zip(inset, (height, width), strict=True)]
    return ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2).astype(np.uint8)


def centroid(values):
    rows, columns = np.mgrid[: values.shape[0], : values.shape[1]]
    return np.array([(rows * values).sum(), (columns * values).sum()]) / values.sum()


@pytest.mark.parametrize("decode", ["fast", "exact"])
@pytest.mark.parametrize("keep_aspect_ratio", [False, True])
@pytest.mark.parametrize(
    ("size", "target"),
    [((375, 500), 224), ((375, 500), 64), ((375, 501), 64), ((1003, 701), 64), ((1203, 1203), 96), ((203, 203), 224)],
)
def test_mask_lies_where_its_image_does(tmp_path, size, target, keep_aspect_ratio, decode):
    settings = ImageSettings(target_size=(target, target), keep_aspect_ratio=keep_aspect_ratio, decode=decode)
    spec = ArraySpec((target, target, 3), np.dtype(np.uint8))
    image_reader, mask_reader = (
        (FastDecoder if decode == "fast" else ExactDecoder)(settings, spec),
        MaskDecoder(DISCS, settings),
    )
    for seed in range(3):
        stored = disc(*size, seed)
        Image.fromarray(np.repeat(stored[..., None] * 200 + 20, 3, 2).astype(np.uint8)).save(
            tmp_path / "a.jpg", quality=95
        )
        Image.fromarray(stored).save(tmp_path / "a.png")
        image, mask = np.empty(spec.shape, np.uint8), np.empty((target, target), np.uint8)
        stored_size = image_reader.decode((tmp_path / "a.jpg").read_bytes(), "a.jpg", image)
        mask_reader.decode((tmp_path / "a.png").read_bytes(), "a.png", stored_size, mask)
        shown = np.clip((image.mean(axis=2) - 20) / 200, 0, 1)
        assert np.abs(centroid(shown) - centroid(mask)).max() < 0.3


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30), st.integers(1, 30))
def test_mask_shows_pixels_under_their_centres(height, width, rows, columns):
    stored = np.random.default_rng(height * width).integers(0, 2, (height, width), np.uint8)
    data = encoded(Image.fromarray(stored), "PNG")
    reader = MaskDecoder(DISCS, ImageSettings(target_size=(rows, columns)))
    expected = np.asarray(Image.fromarray(stored).resize((columns, rows), Image.Resampling.NEAREST))
    for is_exact in {resize.NEAREST_IS_EXACT, False}:  # by OpenCV 5, and without it
        out = np.empty((rows, columns), np.uint8)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(resize, "NEAREST_IS_EXACT", is_exact)
            reader.decode(data, "a.png", stored.shape, out)
        assert np.array_equal(out, expected)


@pytest.mark.parametrize(
    ("mask_size", "told"),
    [
        ((5, 7), "must have the size of its image, 6x4 pixels, got 7x5$"),
        ((6, 4), r"must have the size of its image, 6x4 pixels, got 4x6; was it drawn on the image as its EXIF"),
    ],
)
def test_mask_of_another_size_is_refused(tmp_path, mask_size, told):
    mask = encoded(Image.fromarray(np.zeros(mask_size, np.uint8)), "PNG")
    decoder = MaskDecoder(DISCS, ImageSettings(target_size=(4, 4)))
    with pytest.raises(BadSampleError, match=rf"m\.png: a mask {told}"):
        decoder.decode(mask, "m.png", (4, 6), np.empty((4, 4), np.uint8))
