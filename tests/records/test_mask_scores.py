"""Overlap and accuracy of masks, against definitions and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, recall_score

from runner.records.mask_scores import MaskScores

RANDOM = np.random.default_rng(0)
TRUTH, PREDICTED = RANDOM.integers(0, 4, (2, 20, 30), np.uint8)


def test_scores_match_scikit_learn():
    scores = MaskScores.of(TRUTH, PREDICTED, 4, None)
    pair = TRUTH.ravel(), PREDICTED.ravel()
    np.testing.assert_allclose(scores.iou, jaccard_score(*pair, average=None))
    np.testing.assert_allclose(scores.dice, f1_score(*pair, average=None))
    np.testing.assert_allclose(scores.accuracy, recall_score(*pair, average=None))
    assert scores.mean_iou == pytest.approx(jaccard_score(*pair, average="macro"))
    assert scores.pixel_accuracy == pytest.approx(accuracy_score(*pair))


@pytest.mark.parametrize("ignored", [255, 3])
def test_ignored_pixels_do_not_count(ignored):
    truth = np.where(TRUTH == 3, np.uint8(ignored), TRUTH)
    scores = MaskScores.of(truth, PREDICTED, 4, ignored)
    assert scores.truth.tolist() == [*np.bincount(TRUTH[TRUTH < 3]), 0]
    assert scores.predicted.sum() == (TRUTH < 3).sum()


def test_mean_is_over_classes_that_appear():
    scores = MaskScores.of(np.uint8([[0, 0, 1]]), np.uint8([[0, 2, 1]]), 5, None)
    assert scores.iou == [0.5, 1.0, 0.0, None, None]
    assert scores.mean_iou == 0.5
    assert scores.accuracy == [0.5, 1.0, None, None, None]


def test_nothing_to_compare_has_no_score():
    scores = MaskScores.of(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), 2, 255)
    assert (scores.mean_iou, scores.mean_dice, scores.pixel_accuracy) == (None, None, None)


def test_sums_are_exact_beyond_32_bits():
    many = MaskScores(*np.full((3, 2), 2**40, np.int64))
    total = MaskScores.empty(2) + many + MaskScores.of(np.uint8([[0]]), np.uint8([[1]]), 2, None)
    assert total.truth.tolist() == [2**40 + 1, 2**40]
    assert total.correct.tolist() == [2**40, 2**40]


def test_document_names_classes_and_head():
    document = MaskScores.of(np.uint8([[0, 1]]), np.uint8([[0, 0]]), 2, None).document(("a", "b"), "lung_")
    assert document["lung_mean_iou"] == 0.25
    assert document["lung_classes"]["b"] == {"iou": 0.0, "dice": 0.0, "accuracy": 0.0}
