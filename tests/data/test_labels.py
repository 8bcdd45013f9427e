"""Labels as arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.data.labels import NO_LABELS, Head, Labels, class_head, encode_classes
from runner.errors import DataError

NAMES = ("a", "b", "c")


@given(st.lists(st.integers(0, 2), min_size=1, max_size=20))
def test_categorical_is_one_hot_sparse_is_code(codes):
    codes = np.array(codes)
    one_hot = Head("", "categorical", NAMES).encode(codes)
    assert one_hot.dtype == np.float32
    assert (one_hot.argmax(axis=1) == codes).all()
    assert (one_hot.sum(axis=1) == 1).all()
    sparse = Head("", "sparse", NAMES).encode(codes)
    assert (sparse.dtype, sparse.shape) == (np.float32, codes.shape)


def test_several_heads_are_a_dict_by_name():
    heads = (Head("first", "sparse", NAMES), Head("second", "binary", NAMES[:2]))
    labels = Labels(heads, (np.array([2, 1]), np.array([0, 1])))
    y = labels.encode(np.array([1]), np.zeros((1, 1)))
    assert {name: array.tolist() for name, array in y.items()} == {"first": [1.0], "second": [1.0]}


def test_no_labels_are_none():
    assert NO_LABELS.encode(np.array([0]), np.zeros((1, 1))) is None


def test_selection_keeps_the_rows_in_its_order():
    labels = Labels((Head("", "sparse", NAMES),), (np.array([0, 1, 2]),))
    assert labels.take(np.array([2, 0])).columns[0].tolist() == [2, 0]


@given(st.lists(st.integers(-5, 5), min_size=1))
def test_classes_are_ordered_by_value(values):
    names, codes = encode_classes(np.array(values))
    assert list(names) == [str(value) for value in sorted(set(values))]
    assert [int(names[code]) for code in codes] == values


def test_one_class_is_too_few():
    with pytest.raises(
        DataError, match=r"needs at least 2 classes, got 1 \(only\); for data without classes set data.class_mode=null"
    ):
        class_head("sparse", ("only",))
