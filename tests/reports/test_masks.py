"""Masks on the page of a run: scores of each class, and pictures of the worst and best samples."""

import numpy as np
import pytest

from runner.data.labels import Head, heads_document
from runner.records.mask_pictures import MaskPictures
from runner.records.mask_scores import MaskScores
from runner.records.predictions import mask_cells, write_prediction_rows
from runner.records.record import RunRecord
from runner.reports.page import write_report
from runner.reports.scores import score_predictions

HEAD = Head("", "mask", ("ground", "disc"), stored=((0, 0, 9), (7, 8, 255)), ignored=255)
COUNT = 20


def samples():
    """Truth and prediction of each sample: of sample n, the first n of 40 pixels are wrong, and four do not count."""
    for number in range(COUNT):
        truth = np.random.default_rng(number).integers(0, 2, (5, 8), np.uint8)
        predicted = np.where(np.arange(40).reshape(5, 8) < number, 1 - truth, truth)
        truth[4, :4] = 255
        yield truth, predicted


@pytest.fixture
def write(tmp_path):
    """Writes what a run over masks leaves, and its page; returns the folder."""

    def write_run(*, labelled=True, pictured=True, **results):
        record = RunRecord.open(tmp_path, backend="jax", data={"heads": heads_document([HEAD])}, results=results)
        pictures, rows = MaskPictures(HEAD), []
        for number, (truth, predicted) in enumerate(samples()):
            given = truth if labelled else None
            scores = MaskScores.of(truth if labelled else predicted, predicted, 2, 255)
            image = np.full((5, 8, 5), 9 * number, np.uint8)
            pictures.add(number, f"i{number}", image, predicted, given, scores.mean_iou if labelled else None)
            rows.append([f"i{number}", *mask_cells(f"predictions/{number}.png", predicted, scores, labelled=labelled)])
        write_prediction_rows(tmp_path / "predictions.csv", [HEAD], rows, labelled=labelled)
        if pictured:
            pictures.write(tmp_path, "test", 0)
        record.close("completed")
        write_report(tmp_path)
        return tmp_path

    return write_run


def test_scores_are_those_of_all_pixels(write):
    (scorer,) = score_predictions(write(), [HEAD])
    expected = sum((MaskScores.of(*pair, 2, 255) for pair in samples()), MaskScores.empty(2))
    assert [score.iou for score in scorer.scores()] == expected.iou
    assert [score.truth for score in scorer.scores()] == expected.truth.tolist()
    assert scorer.scores()[1].color == "#0708ff"


def test_page_shows_worst_best_and_classes(write, read):
    page = read(write())
    images = page.of("img")
    assert [image["alt"] for image in images[:2]] == ["Worst predictions: i19", "Worst predictions: i18"]
    assert {image["alt"] for image in images[12:]} == {f"Best predictions: i{number}" for number in range(4)}
    assert len(images) == 16
    header, ground, disc = page.tables["Per class"]
    assert header[:4] == ["class", "IoU", "Dice", "accuracy"]
    assert (ground[0], disc[0]) == ("ground", "disc")
    assert "Masks have the size that the model sees, 5×8." in page.text


def test_page_says_that_masks_are_enlarged(write, read):
    page = read(write(predict={"original_size": True}))
    assert "Masks are enlarged to the size of their images; scores count the pixels that the model sees." in page.text
    assert "Masks have the size" not in page.text


def test_masks_without_truth_are_shown(write, read):
    page = read(write(labelled=False))
    assert page.tables["Per class"][0] == ["class", "predicted pixels"]
    assert [image["alt"] for image in page.of("img")] == [f"Some predictions: i{number}" for number in range(4)]
    assert "The data has no masks, so there are no scores." in page.text


def test_without_pictures_scores_are_listed(write, read):
    page = read(write(pictured=False))
    assert page.of("img") == []
    assert page.tables["Worst predictions"][1][0] == "i19"
