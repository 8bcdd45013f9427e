"""Pictures of samples, and counts of classes."""

import numpy as np
import pytest
from PIL import Image

from runner.errors import BadSampleError
from runner.records.pictures import (
    SIDE,
    Picture,
    as_image,
    read_class_counts,
    read_pictures,
    write_class_counts,
    write_pictures,
)


class Squares:
    """Four grey squares; the second cannot be read."""

    ids = ("a", "b", "c,\n", "d")

    def read(self, index):
        if index == 1:
            raise BadSampleError("b", "damaged")
        return np.full((4, 4, 1), 10 * index, np.uint8)


@pytest.mark.parametrize(
    ("shape", "dtype", "size"),
    [
        ((8, 6, 1), np.uint8, (6, 8)),
        ((8, 6), np.float32, (6, 8)),
        ((8, 6, 3), np.uint8, (6, 8)),
        ((8, 6, 4), np.uint8, (6, 8)),
        ((5, 8, 6, 1), np.float32, (6, 8)),
        ((400, 200, 3), np.uint8, (SIDE // 2, SIDE)),
    ],
)
def test_images_and_volumes_are_pictured(shape, dtype, size):
    assert as_image(np.ones(shape, dtype)).size == size


@pytest.mark.parametrize("shape", [(5,), (8, 6, 2), (1, 9, 1), (2, 2, 2, 2, 2)])
def test_what_is_no_image_is_not_pictured(shape):
    assert as_image(np.ones(shape, np.float32)) is None


def test_values_that_are_no_bytes_are_spread():
    image = as_image(np.array([[-1.0, 0.0], [1.0, np.nan]], np.float32))
    assert np.asarray(image).tolist() == [[0, 128], [255, 128]]


def test_middle_slice_of_a_volume_is_shown():
    volume = np.zeros((3, 4, 4, 1), np.uint8)
    volume[1] = 200
    assert np.asarray(as_image(volume)).max() == 200


def test_pictures_read_back_with_their_samples(tmp_path):
    write_pictures(tmp_path, "worst", "test", Squares(), [(2, "x"), (1, "y"), (0, "z")])
    assert read_pictures(tmp_path, "worst") == {
        "c,\n": Picture("worst/000.png", "test", "c,\n", "x"),
        "a": Picture("worst/001.png", "test", "a", "z"),
    }
    assert np.asarray(Image.open(tmp_path / "figures/worst/000.png")).max() == 20
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"worst", "worst.csv"}


def test_empty_timeline_writes_no_figure(tmp_path):
    write_pictures(tmp_path, "worst", "test", Squares(), [(1, "")])
    write_class_counts(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
    assert read_pictures(tmp_path, "worst") == {}
    assert list(read_class_counts(tmp_path)) == []


def test_class_counts_read_back(tmp_path):
    write_class_counts(tmp_path, {"label": {"a,b": {"train": 3, "test": 0}, "c": {"train": 1, "test": 2}}})
    assert list(read_class_counts(tmp_path)) == [
        ("label", "a,b", {"train": 3, "test": 0}),
        ("label", "c", {"train": 1, "test": 2}),
    ]
