"""Masks at the size of their images: each pixel shows the pixel of the model over its centre, and crops go back."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from runner.batch import ArraySpec
from runner.errors import BadSampleError
from runner.images.crop import crop_box
from runner.images.fast import open_decoder
from runner.images.original_size import OriginalSize, read_stored_size
from runner.images.resize import resize_nearest
from runner.images.settings import ImageSettings
from runner.place import Place
from runner.transforms.augment import CenterCrop

FILL = 9
sides = st.integers(1, 40)
sizes = st.tuples(sides, sides)


def codes(size, seed=0):
    return np.random.default_rng(seed).integers(0, 5, size, np.uint8)


def by_definition(mask, size, target, *, keep, crop):
    """The pixel of the mask over each centre, in fractions; `FILL` where there is none."""
    box = crop_box(size, target, keep_aspect_ratio=keep)
    part = crop_box(target, crop or target, keep_aspect_ratio=crop is not None)

    def pixel(number, start, length, target, first, share, pixels):
        seen = (number + Fraction(1, 2) - start) / length * target  # where it is in the resized image
        found = (seen - first) / share * pixels
        return int(found // 1) if 0 <= seen < target and 0 <= found < pixels else None

    rows, columns = (
        [pixel(n, box[axis], (box.height, box.width)[axis], target[axis], part[axis], (part.height, part.width)[axis],
               mask.shape[axis]) for n in range(size[axis])]
        for axis in (0, 1)
    )  # fmt: skip
    return [[FILL if None in (row, column) else mask[row, column] for column in columns] for row in rows]


@given(sizes, st.booleans())
def test_image_of_the_models_size_keeps_its_mask(size, keep):
    mask = codes(size)
    assert np.array_equal(OriginalSize(size, keep).enlarged(mask, size, FILL), mask)


@given(sizes, st.integers(1, 4), st.integers(1, 4))
def test_whole_multiples_give_blocks_of_pixels(size, rows, columns):
    mask = codes(size)
    stored = np.kron(mask, np.ones((rows, columns), np.uint8))
    enlarged = OriginalSize(size).enlarged(mask, stored.shape, FILL)
    assert np.array_equal(enlarged, stored)
    seen = np.empty((*size, 1), np.uint8)
    resize_nearest(enlarged[..., None], crop_box(stored.shape, size, keep_aspect_ratio=False), seen)
    assert np.array_equal(seen[..., 0], mask)


@given(sizes, sizes, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_every_pixel_shows_what_covers_its_centre(size, target, keep, crops, halved, data):
    shape = tuple(data.draw(st.integers(1, side)) for side in target)
    crop = shape if crops else None
    mask = codes(tuple(-(-side // 2) for side in shape) if halved else shape if crops else target)
    try:
        expected = by_definition(mask, size, target, keep=keep, crop=crop)
    except ValueError:
        with pytest.raises(ValueError, match="too thin to crop"):
            OriginalSize(target, keep, crop).enlarged(mask, size, FILL)
        return
    assert OriginalSize(target, keep, crop).enlarged(mask, size, FILL).tolist() == expected


def test_mask_is_put_into_the_box_that_was_seen():
    stored = np.full((30, 60), FILL, np.uint8)
    stored[:, 15:45] = np.kron(codes((10, 10)), np.ones((3, 3), np.uint8))
    geometry = OriginalSize((10, 10), keep_aspect_ratio=True)
    assert np.array_equal(geometry.enlarged(codes((10, 10)), (30, 60), FILL), stored)
    assert geometry.leaves_out
    assert not OriginalSize((10, 10)).leaves_out


def test_centred_crop_goes_back_to_its_place():
    stored = codes((24, 48)).repeat(2, 0).repeat(2, 1)  # read at 24×48, of which the centre is shown
    read = stored[::2, ::2].copy()
    mask = CenterCrop(ArraySpec((12, 12), np.dtype(np.uint8)), is_mask=True)(read, 0, 0)
    enlarged = OriginalSize((24, 48), crop=(12, 12)).enlarged(mask, stored.shape, FILL)
    inside = np.zeros(stored.shape, bool)
    inside[:, 24:72] = True
    assert (enlarged[~inside] == FILL).all()
    assert np.array_equal(enlarged[2::4, 26:72:4], mask)
    assert (enlarged[inside] != FILL).all()


def test_code_above_all_classes_is_not_wrapped():
    mask = np.full((4, 4), 255, np.uint8)
    enlarged = OriginalSize((4, 4), keep_aspect_ratio=True).enlarged(mask, (4, 8), 256)
    assert enlarged[0].tolist() == [256, 256, 255, 255, 255, 255, 256, 256]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_size_is_that_of_the_image_as_it_is_read(tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    Image.new("RGB", (20, 10)).save(tmp_path / name, exif=exif)
    data = (tmp_path / name).read_bytes()
    with Image.open(tmp_path / name) as image:
        size = np.asarray(image).shape[:2]  # Pillow turns TIFF, and no other format
    assert read_stored_size(Place(str(tmp_path / name))) == size
    for decode in ("fast", "exact"):
        for target in ((5, 5), (10, 20)):
            decoder = open_decoder(ImageSettings(decode=decode, target_size=target))
            assert decoder.decode(data, name, np.empty((*target, 3), np.uint8)) == size


def test_file_without_a_size_is_named(tmp_path):
    with pytest.raises(BadSampleError, match=r"a\.png: no such file"):
        read_stored_size(Place(str(tmp_path / "a.png")))
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(BadSampleError, match=r"a\.png: cannot identify image file"):
        read_stored_size(Place(str(tmp_path / "a.png")))
