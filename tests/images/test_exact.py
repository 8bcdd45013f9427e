import itertools

import keras
import numpy as np
import pytest
from PIL import Image

from runner.images.exact import FILTERS, MODES, orientation_notes
from runner.images.fast import open_decoder
from runner.images.settings import ImageSettings
from runner.place import Place

pytestmark = pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")


def _read(path, settings):
    reader = open_decoder(settings, path)
    out = np.full(reader.spec.shape, 99, reader.spec.dtype)
    reader.read(Place(str(path)), out)
    return out


@pytest.mark.parametrize("color_mode", MODES)
@pytest.mark.parametrize("keep_aspect_ratio", [True, False])
def test_exact_equals_load_img(kinds, color_mode, keep_aspect_ratio):
    sizes = [(21, 33), (70, 90), (44, 60), (50, 11)]
    for path, size, interpolation in itertools.product(kinds, sizes, FILTERS):
        keys = {
            "color_mode": color_mode,
            "target_size": size,
            "interpolation": interpolation,
            "keep_aspect_ratio": keep_aspect_ratio,
        }
        expected = np.asarray(keras.utils.load_img(path, **keys)).reshape(*size, -1)
        actual = _read(path, ImageSettings(decode="exact", **keys))
        np.testing.assert_array_equal(actual, expected, f"{path.name} {size} {interpolation}")


@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos", "box", "hamming"])
def test_fast_leaves_other_filters_exact(kinds, interpolation):
    for path in kinds:
        keys = {"target_size": (30, 30), "interpolation": interpolation}
        expected = _read(path, ImageSettings(decode="exact", **keys))
        np.testing.assert_array_equal(_read(path, ImageSettings(**keys)), expected)


def test_exact_applies_no_exif_rotation(kinds):
    rotated = next(path for path in kinds if path.name == "rotated.jpg")
    with Image.open(rotated) as image:
        assert image.getexif()[0x0112] == 6
        expected = np.asarray(image)
    actual = _read(rotated, ImageSettings(decode="exact", target_size=(44, 60)))
    np.testing.assert_array_equal(actual, expected)


def test_exact_refuses_an_image_too_thin_to_crop(tmp_path):
    Image.new("RGB", (1, 90)).save(tmp_path / "thin.png")
    settings = ImageSettings(decode="exact", target_size=(10, 300), keep_aspect_ratio=True)
    with pytest.raises(Exception, match=r"thin.png: 90x1 pixels are too thin to crop"):
        _read(tmp_path / "thin.png", settings)


def test_note_counts_photographs_that_lie(tmp_path):
    exif, names = Image.Exif(), [f"{number:03}.jpg" for number in range(95)]
    exif[0x0112] = 6
    for number, name in enumerate(names):
        Image.new("RGB", (4, 6)).save(tmp_path / name, exif=exif if number > 45 else Image.Exif())
    (tmp_path / names[36]).write_bytes(b"torn")
    (note,) = orientation_notes(tmp_path, names)
    assert note.startswith("4 of 10 images looked at have an EXIF orientation, and images are read as they are stored;")
    assert list(orientation_notes(tmp_path, names[:46])) == []
