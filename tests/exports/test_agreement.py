"""When the outputs of an exported model agree with those of the model."""

import numpy as np
import pytest

from runner.exports.agreement import TOLERANCE_OF_16_BITS, Agreement


def compared(mode, expected, found, **options):
    agreement = Agreement(mode, **options)
    agreement.update(np.float32(expected), np.float32(found))
    return agreement


@pytest.mark.parametrize(("found", "holds"), [([0.50009, 0.49991], True), ([0.5002, 0.4998], False)])
def test_values_up_to_one_differ_by_the_tolerance(found, holds):
    assert compared("sparse", [[0.5, 0.5]], [found]).holds is holds


def test_large_values_may_differ_by_more():
    assert compared("raw", [[3000.0], [1.0]], [[3000.2], [1.0]]).holds
    assert not compared("raw", [[3000.0], [1.0]], [[3000.4], [1.0]]).holds


def test_largest_difference_is_over_all_batches():
    agreement = compared("raw", [[1.0]], [[1.5]])
    agreement.update(np.float32([[1.0]]), np.float32([[1.25]]))
    assert agreement.document() == {
        "largest_difference": 0.5,
        "allowed": pytest.approx(1e-4),
        "has_classes": False,
        "other_classes": 0,
        "agrees": False,
    }


@pytest.mark.parametrize(
    ("mode", "expected", "found", "others"),
    [
        ("categorical", [[0.6, 0.4, 0.0]], [[0.4, 0.6, 0.0]], 1),
        ("categorical", [[0.503, 0.497, 0.0]], [[0.498, 0.502, 0.0]], 0),  # the top two are close
        ("binary", [[0.51], [0.9], [0.502]], [[0.49], [0.8], [0.499]], 1),
        ("multi_label", [[0.2, 0.9], [0.9, 0.1]], [[0.2, 0.1], [0.1, 0.1]], 2),
        ("mask", [[[[0.9, 0.1], [0.2, 0.8]]]], [[[[0.1, 0.9], [0.2, 0.8]]]], 1),
        ("raw", [[0.9]], [[0.1]], 0),
        ("sparse", [[1.0]], [[1.0]], 0),  # a single class
    ],
)
def test_clear_classes_must_be_the_same(mode, expected, found, others):
    assert compared(mode, expected, found, tolerance=TOLERANCE_OF_16_BITS).other_classes == others


def test_nan_agrees_with_itself_alone():
    assert compared("raw", [[np.nan], [np.inf]], [[np.nan], [np.inf]]).holds
    assert not compared("raw", [[np.nan]], [[1.0]]).holds
    assert not compared("raw", [[1.0]], [[np.nan]]).holds


def test_outputs_of_another_shape_differ():
    assert not compared("raw", [[1.0], [1.0]], [[1.0]]).holds
