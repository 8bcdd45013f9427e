"""Scores beside scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, precision_recall_fscore_support, r2_score, root_mean_squared_error

from runner.data.labels import Head
from runner.records.predictions import write_predictions
from runner.reports.scores import class_scores, number_score, score_predictions, scorer_of

NAMES = ("a", "b", "c")
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=40)
NUMBERS = st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2), min_size=2, max_size=40)


@given(PAIRS)
def test_class_scores_are_scikit_learns(pairs):
    truth, predicted = zip(*pairs)
    expected = precision_recall_fscore_support(truth, predicted, labels=NAMES, zero_division=np.nan)
    for number, score in enumerate(class_scores(NAMES, {pair: pairs.count(pair) for pair in pairs})):
        for value, wanted in zip(
            (score.precision, score.recall, score.f1, score.support), (row[number] for row in expected)
        ):
            assert value == pytest.approx(wanted) if value is not None else np.isnan(wanted)


@given(NUMBERS)
def test_number_scores_are_scikit_learns(pairs):
    truth, predicted = zip(*pairs)
    score = number_score("x", truth, predicted)
    assert score.mae == pytest.approx(mean_absolute_error(truth, predicted))
    assert score.rmse == pytest.approx(root_mean_squared_error(truth, predicted))
    if np.var(truth) > 1e-6:
        assert score.r2 == pytest.approx(r2_score(truth, predicted))


def test_constant_column_explains_nothing():
    assert number_score("x", [1, 1], [1, 2]).r2 is None
    assert number_score("x", [0.0, 2e-162], [1, 2]).r2 is None


def test_class_scorer_keeps_the_worst_samples():
    scorer = scorer_of(Head("", "sparse", NAMES), labelled=True)
    for row in range(40):
        wrong = row / 40
        scorer.add(row, f"id{row}", ["a", "b" if wrong > 0.5 else "a", str(1 - wrong), str(wrong), "0"])
    assert [sample.id for sample in scorer.worst.samples()] == [f"id{row}" for row in range(39, 27, -1)]
    assert scorer.worst.samples()[0].detail == "2.5% for a, 97.5% for b"
    assert scorer.pairs == {("a", "a"): 21, ("a", "b"): 19}


def test_label_set_scorer_counts_by_class():
    scorer = scorer_of(Head("", "multi_label", ("x", "y", "x|y")), labelled=True)
    scorer.add(0, "first", ["x|y", "x", "1", "0", "0", "0.9", "0.2", "0.1"])
    scorer.add(1, "second", ["y", "y", "0", "1", "0", "0.1", "0.8", "0.1"])
    assert [(score.true_positives, score.support, score.predicted) for score in scorer.scores()] == [
        (0, 0, 1),
        (1, 1, 1),
        (0, 1, 0),
    ]
    assert [sample.id for sample in scorer.worst.samples()] == ["first"]


def test_number_scorer_measures_distance():
    scorer = scorer_of(Head("", "raw", (), ("w", "h")), labelled=True)
    scorer.add(0, "near", ["1", "2", "1", "2.5"])
    scorer.add(1, "far", ["1", "2", "4", "6"])
    assert [(sample.id, sample.predicted) for sample in scorer.worst.samples()] == [("far", "4, 6"), ("near", "1, 2.5")]
    assert [score.mae for score in scorer.scores()] == [1.5, 2.25]


def test_odd_class_names_are_found_again(tmp_path):
    """Names that are not UTF-8, and those that a spreadsheet would compute."""
    names = ("caf\udce9", "=1+1", "-", "'@x")
    head = Head("", "sparse", names)
    output = np.eye(4, dtype=np.float32)
    write_predictions(
        tmp_path / "predictions.csv", ["=a", "b", "c", "d"], heads=[head], outputs=[output], codes=[np.arange(4)]
    )
    [scorer] = score_predictions(tmp_path, [head])
    assert [score.name for score in scorer.scores() if score.true_positives == 1] == list(names)
