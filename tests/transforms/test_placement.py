"""The random resized crop and shear: which part is shown, in one interpolation with all other movements."""

import math

import cv2
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.fields import Fields, Layout
from runner.transforms.augment import augment
from runner.transforms.draws import Draws, symmetric
from runner.transforms.placement import part_matrix
from runner.transforms.settings import Augment, ResizedCrop

DRAWS = [Draws.of(0, 0, index) for index in range(400)]
GRADIENT = np.dstack(np.meshgrid(np.arange(64), np.arange(48))).astype(np.float32)
"""Each pixel holds its column and its row."""


def changed(image, settings, index=0):
    (change,) = augment(settings, ArraySpec(image.shape, image.dtype), 0, training=True)
    return change(image, 0, index)


def test_parts_have_the_areas_and_ratios_asked():
    parts = [part_matrix((48, 64), (32, 32), ResizedCrop(scale=(0.1, 0.3), ratio=(0.5, 2)), draws) for draws in DRAWS]
    sides = np.array([(part[1, 1] * 32, part[0, 0] * 32) for part in parts])
    areas, ratios = sides.prod(axis=1) / (48 * 64), sides[:, 1] / sides[:, 0]
    assert np.quantile(areas, [0, 0.5, 1]) == pytest.approx([0.1, 0.2, 0.3], abs=0.02)
    assert np.quantile(np.log(ratios), [0, 0.5, 1]) == pytest.approx([-math.log(2), 0, math.log(2)], abs=0.1)


def test_parts_lie_anywhere_within_the_image():
    parts = [part_matrix((48, 64), (48, 64), ResizedCrop(scale=(0.25, 0.25), ratio=(1, 1)), draws) for draws in DRAWS]
    places = np.array([(part[0, 2] - 15.5, part[1, 2] - 11.5) for part in parts])
    assert np.quantile(places, [0, 0.5, 1], axis=0) == pytest.approx(np.array([[0, 0], [16, 12], [32, 24]]), abs=2)


def test_part_too_large_keeps_its_ratio():
    part = part_matrix((40, 40), (20, 20), ResizedCrop(scale=(1, 1), ratio=(2, 2)), DRAWS[0])
    assert (part[0, 0] * 20, part[1, 1] * 20) == pytest.approx((40, 20))


def test_part_is_shown_in_the_size_of_the_result():
    crop = ResizedCrop(scale=(0.2, 0.2), ratio=(1, 1))
    shown = changed(GRADIENT, Augment(resized_crop=crop, crop=(24, 16)))
    part = part_matrix((48, 64), (24, 16), crop, DRAWS[0])
    assert shown.shape == (24, 16, 2)
    ends = [part @ (column, row, 1) for column, row in ((-7.5, -11.5), (7.5, 11.5))]
    assert np.concatenate([shown[0, 0], shown[-1, -1]]) == pytest.approx(np.concatenate([e[:2] for e in ends]), abs=0.1)


def test_whole_image_as_a_part_is_the_image():
    shown = changed(GRADIENT, Augment(resized_crop=ResizedCrop(scale=(1, 1), ratio=(1, 1))))
    assert np.array_equal(shown, GRADIENT)


def test_shear_moves_rows_by_their_distance():
    shown = changed(GRADIENT, Augment(shear_x=0.5))
    share = symmetric(DRAWS[0].shear_x, 0.5)
    assert shown[24, 32, 0] - GRADIENT[24, 32, 0] == pytest.approx(0.5 * share, abs=0.05)
    assert shown[34, 32, 0] - shown[24, 32, 0] == pytest.approx(10 * share, abs=0.1)
    assert np.allclose(shown[..., 1], GRADIENT[..., 1], atol=0.05)


def test_all_movements_are_one_interpolation():
    # A second interpolation would smooth the edge of a square once more.
    image = np.zeros((64, 64), np.float32)
    image[16:48, 16:48] = 1
    settings = {"rotation": 0.1, "shear_y": 0.2, "resized_crop": ResizedCrop(scale=(0.5, 0.9))}
    shown = changed(image, Augment(**settings), 3)
    twice = changed(cv2.warpAffine(image, np.array([[1, 0, 0.5], [0, 1, 0.5]]), (64, 64)), Augment(**settings), 3)
    between = [np.count_nonzero((one > 0.02) & (one < 0.98)) for one in (shown, twice)]
    assert between[0] < 0.8 * between[1]


def test_mask_follows_its_image_by_nearest():
    mask = np.where(np.hypot(*np.moveaxis(GRADIENT - (30, 20), 2, 0)) < 12, 7, 3).astype(np.uint8)
    specs = Layout((("image", ArraySpec((48, 64, 3), mask.dtype)), ("mask", ArraySpec((48, 64), mask.dtype))))
    image = np.repeat(mask[..., None] * 30, 3, axis=2)
    settings = Augment(resized_crop=ResizedCrop(scale=(0.3, 0.5)), shear_x=0.3, hue=0.5, erasing={"factor": 0.0})
    (change,) = augment(settings, specs, 0, training=True, masks={"mask": 3})
    for index in range(5):
        both = change(Fields({"image": image, "mask": mask}), 0, index).arrays
        assert set(np.unique(both["mask"])) <= {3, 7}
        assert (np.abs(both["image"][..., 0] / 30.0 - both["mask"]) > 2).mean() < 0.02
