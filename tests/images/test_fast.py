import io

import keras
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from runner.errors import BadSampleError
from runner.images.fast import open_decoder
from runner.images.settings import ImageSettings
from runner.place import Place

pytestmark = pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")


def _read(path, **keys):
    reader = open_decoder(ImageSettings(**keys), path)
    out = np.full(reader.spec.shape, 99, reader.spec.dtype)
    reader.read(Place(str(path)), out)
    return out


def _error(path, **keys):
    """The mean absolute difference from the exact decoder, of 255."""
    fast, exact = _read(path, **keys), _read(path, **keys, decode="exact")
    return float(np.abs(fast.astype(np.float64) - exact).mean())


def _shrunk(path, vertical, horizontal):
    with Image.open(path) as image:
        return max(1, round(image.height / vertical)), max(1, round(image.width / horizontal))


SHRINKS = [1.0, 1.05, 1.1, 1.12, 1.5, 1.7, 1.93, 2.0, 2.07, 2.5, 2.59, 3, 4, 5, 5.3, 6, 8, 10, 10.6, 12, 20]
UNEVEN = [(1, 3), (3, 1.05), (0.5, 4), (12, 1), (0.7, 12), (2, 8), (6, 11), (1.5, 2.2), (0.5, 0.8)]


@pytest.mark.parametrize(("vertical", "horizontal"), [(s, s) for s in SHRINKS] + UNEVEN)
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
def test_fast_bilinear_is_close_to_exact(photographs, color_mode, vertical, horizontal):
    errors = [
        _error(path, target_size=_shrunk(path, vertical, horizontal), color_mode=color_mode) for path in photographs
    ]
    assert np.mean(errors) <= 1.0
    assert max(errors) <= 1.7


@pytest.mark.parametrize("size", [(224, 224), (100, 60), (60, 100), (40, 40), (50, 20)])
def test_fast_bilinear_crops_as_exact(photographs, size):
    errors = [_error(path, target_size=size, keep_aspect_ratio=True) for path in photographs]
    assert np.mean(errors) <= 1.0


def test_fast_pixels_ignore_the_file_format(photographs, tmp_path):
    with Image.open(photographs[0]) as image:
        image.save(tmp_path / "same.png")
    for size, keys in (((400, 420), {}), ((150, 170), {"interpolation": "nearest"})):
        png, jpeg = (_read(path, target_size=size, **keys) for path in (tmp_path / "same.png", photographs[0]))
        np.testing.assert_array_equal(png, jpeg)


@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
@pytest.mark.parametrize("keep_aspect_ratio", [True, False])
@pytest.mark.parametrize("size", [(21, 33), (70, 90), (22, 30), (1, 1), (50, 11)])
def test_fast_nearest_equals_exact(kinds, color_mode, keep_aspect_ratio, size):
    keys = {"color_mode": color_mode, "keep_aspect_ratio": keep_aspect_ratio}
    for path in kinds:
        assert _error(path, target_size=size, interpolation="nearest", **keys) == 0, path.name


@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
def test_fast_equals_exact_without_resizing(kinds, color_mode):
    for path in kinds:
        keys = {"target_size": (44, 60), "color_mode": color_mode}
        np.testing.assert_array_equal(_read(path, **keys), _read(path, decode="exact", **keys), path.name)


@pytest.mark.parametrize(
    ("color_mode", "size"),
    [("rgb", (224, 224)), ("rgb", (90, 300)), ("rgb", (700, 900)), ("rgb", None), ("grayscale", (90, 300))],
)
@pytest.mark.parametrize("keep_aspect_ratio", [True, False])
def test_no_antialias_equals_keras_dataset_pixels(photographs, color_mode, keep_aspect_ratio, size):
    for path in photographs:
        with Image.open(path) as image:
            keys = {"target_size": size or (image.height, image.width), "color_mode": color_mode}
        dataset = keras.utils.image_dataset_from_directory(
            path.parent,
            labels=None,
            color_mode=color_mode,
            image_size=keys["target_size"],
            crop_to_aspect_ratio=keep_aspect_ratio,
            shuffle=False,
            batch_size=None,
            verbose=False,
        )
        expected = dataset.skip(dataset.file_paths.index(str(path))).take(1).get_single_element().numpy()
        actual = _read(path, antialias=False, keep_aspect_ratio=keep_aspect_ratio, **keys)
        assert np.abs(actual - expected).max() <= 1
        assert np.abs(actual - expected).mean() < 0.3  # what rounding takes


def test_fast_reads_alpha_as_exact(kinds):
    path = next(path for path in kinds if path.name == "rgba.png")
    assert _error(path, target_size=(20, 31), color_mode="rgba") == 0


def test_fast_gives_jpeg_an_opaque_alpha(photographs):
    assert (_read(photographs[0], target_size=(50, 50), color_mode="rgba")[..., 3] == 255).all()


def test_fast_leaves_cmyk_to_exact(kinds):
    path = next(path for path in kinds if path.name == "cmyk.jpg")
    assert _error(path, target_size=(44, 60)) == 0


def test_fast_leaves_undecodable_jpeg_to_exact(photographs, tmp_path):
    mended = tmp_path / "mended.jpg"
    mended.write_bytes(photographs[0].read_bytes()[:20_000] + b"\xff\xd9")  # the rest is missing, the end is not
    with pytest.raises(ValueError, match=r"(?i)premature|corrupt"):
        simplejpeg.decode_jpeg(mended.read_bytes())
    assert _error(mended, target_size=(100, 100)) < 1.5


def test_fast_names_a_truncated_jpeg(photographs, tmp_path):
    path = tmp_path / "half.jpg"
    path.write_bytes(photographs[0].read_bytes()[:20_000])
    with pytest.raises(BadSampleError, match=r"half\.jpg: image file is truncated \(\d+ bytes not processed\)$"):
        _read(path)


def test_fast_knows_jpeg_by_its_content(photographs, tmp_path):
    (tmp_path / "really.png").write_bytes(photographs[0].read_bytes())
    keys = {"target_size": (90, 90)}
    np.testing.assert_array_equal(_read(tmp_path / "really.png", **keys), _read(photographs[0], **keys))


def test_fast_refuses_an_image_too_thin_to_crop(tmp_path):
    for name in ("thin.jpg", "thin.png"):
        Image.new("RGB", (1, 90)).save(tmp_path / name)
        with pytest.raises(BadSampleError, match=f"{name}: 90x1 pixels are too thin"):
            _read(tmp_path / name, target_size=(10, 300), keep_aspect_ratio=True)


def test_fast_reads_big_and_small_images_in_turn(photographs, tmp_path):
    small = tmp_path / "small.jpg"
    data = io.BytesIO()
    Image.new("RGB", (20, 10), (200, 30, 30)).save(data, "JPEG")
    small.write_bytes(data.getvalue())
    keys = {"target_size": (33, 35)}
    first = _read(small, **keys)
    big = _read(photographs[0], **keys)
    np.testing.assert_array_equal(_read(small, **keys), first)
    np.testing.assert_array_equal(_read(photographs[0], **keys), big)
