"""Which classes are confused: a pixel for each pair of many classes, and mean scores."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import precision_recall_fscore_support

from runner.data.labels import Head, heads_document
from runner.records.predictions import write_predictions
from runner.records.record import RunRecord
from runner.reports.confusion import confusion_map, matrix, mean_scores
from runner.reports.page import write_report
from runner.reports.scores import ClassScorer, class_scores

NAMES = tuple(f"<{number:03}>" for number in range(100))


def scorer_of_many():
    scorer = ClassScorer(Head("", "sparse", NAMES), labelled=True)
    scorer.pairs.update({(NAMES[2], NAMES[2]): 3, (NAMES[2], NAMES[7]): 1, ("", NAMES[1]): 5})
    return scorer


def test_map_has_a_pixel_for_each_pair():
    found = confusion_map(scorer_of_many())
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.source.partition(",")[2]))))
    assert pixels.shape == (100, 100, 4)
    assert [tuple(place) for place in np.argwhere(pixels[..., 3])] == [(2, 2), (2, 7)]
    assert pixels[2, 2, 3] > pixels[2, 7, 3]
    assert found.cells == [(2, 2, 3), (2, 7, 1)]
    assert matrix(scorer_of_many()) == []


def test_few_classes_have_a_matrix_and_no_map():
    scorer = ClassScorer(Head("", "sparse", ("a", "b")), labelled=True)
    scorer.pairs.update({("a", "a"): 3, ("a", "b"): 1})
    assert confusion_map(scorer) is None
    assert [[cell.count for cell in cells] for _, cells in matrix(scorer)] == [[3, 1], [0, 0]]


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_means_are_scikit_learns(average):
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 4, 60).tolist(), rng.integers(0, 4, 60).tolist()
    names = [str(number) for number in range(4)]
    pairs = list(zip(map(str, truth), map(str, predicted)))
    scores = class_scores(names, {pair: pairs.count(pair) for pair in pairs})
    (mean,) = [score for score in mean_scores(scores) if score.name == f"{average} mean"]
    expected = precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)[:3]
    assert (mean.precision, mean.recall, mean.f1) == pytest.approx(expected)
    assert mean.support == 60


def test_page_of_many_classes_folds_its_tables(tmp_path, read):
    head = Head("", "sparse", NAMES)
    record = RunRecord.open(tmp_path, backend="jax", data={"heads": heads_document([head])})
    codes = np.arange(100)
    output = np.eye(100, dtype=np.float32)
    write_predictions(
        tmp_path / "predictions.csv", list(map(str, codes)), heads=[head], outputs=[output], codes=[codes]
    )
    record.close("completed")
    write_report(tmp_path)
    page = read(tmp_path)
    assert [row[0] for row in page.tables["Per class"]][1:2] == ["<000>"]
    assert "macro mean 100.0% 100.0% 100.0% 100" in page.text
    assert "Scores of 100 classes" in page.text
    assert not page.of("details", open=None)
    (image,) = page.of("img")
    assert image["alt"] == "Confusion matrix of 100 classes"
