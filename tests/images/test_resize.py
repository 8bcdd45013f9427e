import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from runner.images.crop import Box
from runner.images.resize import resize_antialiased, resize_linear, resize_nearest


@given(st.data(), st.integers(1, 5000), st.integers(1, 600))
def test_resize_nearest_picks_pillows_pixels(data, width, target_width):
    left = data.draw(st.integers(0, width - 1))
    box = Box(0, left, 2, data.draw(st.integers(left + 1, width)))
    image = np.random.default_rng(width).integers(0, 256, (2, width, 1), np.uint8)
    out = np.empty((2, target_width, 1), np.uint8)
    resize_nearest(image, box, out)
    pillow = Image.fromarray(image[..., 0]).resize((target_width, 2), Image.Resampling.NEAREST, (left, 0, box.right, 2))
    np.testing.assert_array_equal(out[..., 0], np.asarray(pillow))


@given(st.tuples(*[st.integers(1, 90)] * 4), st.sampled_from([1, 3, 4]), st.sampled_from([np.uint8, np.float32]))
def test_resize_keeps_a_flat_image_flat(sizes, channels, dtype):
    height, width, target_height, target_width = sizes
    image = np.full((height, width, channels), 101, dtype)
    for resize in (resize_antialiased, resize_linear, resize_nearest):
        out = np.zeros((target_height, target_width, channels), dtype)
        resize(image, Box(0, 0, height, width), out)
        np.testing.assert_allclose(out, 101, rtol=1e-5)


@given(st.integers(4, 60), st.integers(4, 60))
def test_antialiased_float_resize_is_near_pillow(target_height, target_width):
    rows, columns = np.mgrid[:50, :70]
    image = np.sin(rows / 7 + columns / 11).astype(np.float32)
    out = np.empty((target_height, target_width, 1), np.float32)
    resize_antialiased(image[..., None], Box(0, 0, 50, 70), out)
    pillow = Image.fromarray(image).resize((target_width, target_height), Image.Resampling.BILINEAR)
    assert np.abs(out[..., 0] - np.asarray(pillow)).mean() < 0.05
