"""The columns of predictions.csv."""

from hypothesis import given
from hypothesis import strategies as st

from runner.data.labels import Head
from runner.records.predictions import prediction_columns


def test_columns_of_one_head_are_its_classes():
    heads = (Head("", "categorical", ("cat", "dog")),)
    assert prediction_columns(heads, labelled=True) == ["id", "label", "predicted", "cat", "dog"]


def test_columns_without_labels_have_no_label():
    heads = (Head("", "sparse", ("cat", "dog")),)
    assert prediction_columns(heads, labelled=False) == ["id", "predicted", "cat", "dog"]


def test_head_columns_start_with_their_names():
    heads = (Head("bi", "binary", ("no", "yes")), Head("copy", "input"))
    assert prediction_columns(heads, labelled=True) == [
        *("id", "bi_label", "bi_predicted", "bi_no", "bi_yes", "copy_mean_squared_error")
    ]


def test_clashing_class_columns_get_a_prefix():
    heads = (Head("", "sparse", ("id", "label", "p_label", "cat")),)
    assert prediction_columns(heads, labelled=False) == [*("id", "predicted", "p_id", "p_p_label", "p_label", "cat")]


def test_clashing_heads_are_separated():
    heads = (Head("a", "sparse", ("b_c", "d")), Head("a_b", "sparse", ("c", "d")))
    columns = prediction_columns(heads, labelled=False)
    assert columns == [*("id", "a_predicted", "a_p_b_c", "a_d", "a_b_predicted", "a_b_p_c", "a_b_d")]


NAMES = st.lists(st.sampled_from(["id", "label", "p_label", "p_id", "predicted", "a", "b_a"]),
                 min_size=2, unique=True)  # fmt: skip


@given(NAMES, NAMES, st.booleans())
def test_columns_never_have_one_name_twice(first, second, labelled):
    heads = (Head("b", "sparse", tuple(first)), Head("b_b", "sparse", tuple(second)))
    columns = prediction_columns(heads, labelled=labelled)
    assert len(set(columns)) == len(columns)
