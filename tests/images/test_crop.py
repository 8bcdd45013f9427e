import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.images.crop import Box, crop_box

sides = st.integers(1, 3000)


def test_default_crop_box_is_the_whole_image():
    assert crop_box((30, 50), (10, 10), keep_aspect_ratio=False) == Box(0, 0, 30, 50)


@given(st.tuples(sides, sides), st.tuples(sides, sides))
def test_crop_box_fills_width_or_height(size, target_size):
    try:
        box = crop_box(size, target_size, keep_aspect_ratio=True)
    except ValueError:
        return
    assert 0 <= box.top < box.bottom <= size[0] and 0 <= box.left < box.right <= size[1]
    assert box.height == size[0] or box.width == size[1]


def test_crop_box_refuses_an_image_too_thin():
    with pytest.raises(ValueError, match="90x1 pixels are too thin to crop to the shape of 10x300"):
        crop_box((90, 1), (10, 300), keep_aspect_ratio=True)


def test_box_shrunk_rounds_to_the_nearest_pixel():
    assert Box(10, 21, 30, 43).shrunk(4) == Box(2, 5, 8, 11)
