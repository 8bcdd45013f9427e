"""Labels told in the words of a model."""

from dataclasses import replace

import numpy as np
import pytest

from runner.data.labels import NO_LABELS, Head, Labels
from runner.data.views import relabel
from runner.errors import DataError
from tests.support.sources import ONE_NUMBER, NumberSource

MODEL = (Head("", "categorical", ("ant", "bee", "cow")),)


def rows(names, column, mode="sparse", head=""):
    return NumberSource(3, labels=Labels((Head(head, mode, tuple(names)),), (np.array(column),)))


def test_codes_follow_the_model_by_name():
    labels = relabel(rows(["cow", "ant"], [0, 1, 0]), MODEL).labels
    assert labels.heads == MODEL
    assert labels.texts() == ["cow", "ant", "cow"]
    assert labels.encode(np.array([0]), np.zeros(1)).tolist() == [[0, 0, 1]]


def test_label_that_is_not_known_stays_so():
    assert relabel(rows(["cow", "ant"], [0, -1, 1]), MODEL).labels.columns[0].tolist() == [2, -1, 0]


def test_label_sets_become_model_columns():
    column, model = [[1, 0], [1, 1], [0, 0]], (Head("", "multi_label", ("ant", "bee", "cow")),)
    assert relabel(rows(["cow", "ant"], column, mode="multi_label"), model).labels.columns[0].tolist() == [
        [0, 0, 1],
        [1, 0, 1],
        [0, 0, 0],
    ]


def test_unknown_class_is_named_with_the_nearest():
    message = r"only classes of the model \(ant, bee, cow\), got beee; did you mean 'bee'\?"
    with pytest.raises(DataError, match=message):
        relabel(rows(["ant", "beee"], [0, 1, 0]), MODEL)


def test_heads_are_found_by_name():
    heads = (Head("size", "sparse", ("s", "l")), Head("kind", "sparse", ("ant", "cow")))
    source = NumberSource(3, labels=Labels(heads, (np.array([0, 1, 1]), np.array([1, 0, 1]))))
    labels = relabel(source, (Head("kind", "sparse", ("cow", "ant")),)).labels
    assert labels.columns[0].tolist() == [0, 1, 0]


def test_head_missing_from_data_is_reported():
    with pytest.raises(DataError, match=r"the model's target \(kind: sparse\), got size: sparse; set"):
        relabel(rows("sl", [0, 1, 1], head="size"), (Head("kind", "sparse", ("cow", "ant")),))


@pytest.mark.parametrize(
    "head", [Head("", "multi_label", ("ant", "cow")), Head("", "raw"), Head("", "raw", (), ("width", "height"))]
)
def test_target_of_another_form_is_refused(head):
    with pytest.raises(DataError, match="must have the model's target"):
        relabel(rows(["cow", "ant"], [0, 1, 0]), (head,))


def test_numbers_are_taken_as_they_are():
    source = rows((), [1.5, 2.5, 3.5], mode="raw")
    assert relabel(source, (Head("", "raw"),)).labels.columns[0].tolist() == [1.5, 2.5, 3.5]


def test_weights_are_kept():
    source = rows(["cow", "ant"], [0, 1, 0])
    source.labels = replace(source.labels, weights=np.float32([1, 2, 3]))
    assert relabel(source, MODEL).labels.weights.tolist() == [1, 2, 3]


def test_samples_without_labels_stay_without():
    assert relabel(NumberSource(3), MODEL).labels == NO_LABELS


def test_reconstruction_needs_no_labels():
    labels = relabel(NumberSource(3), (Head("", "input"),)).labels
    assert labels.encode(np.array([1]), np.array([[7.0]])).tolist() == [[7.0]]


def test_samples_and_ids_are_the_sources_own():
    source = relabel(rows(["cow", "ant"], [0, 1, 0]), MODEL)
    assert (len(source), list(source.ids), source.spec) == (3, ["s0", "s1", "s2"], ONE_NUMBER)
    assert source.read(2, np.zeros(1)).tolist() == [2]
