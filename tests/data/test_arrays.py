"""data=arrays: one .npz file."""

import pickle
import zipfile

import numpy as np
import pytest

from runner.data.arrays import Arrays
from runner.errors import DataError

X = np.arange(12.0).reshape(6, 2)
MARKS = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]] * 2)


@pytest.fixture
def opened(tmp_path):
    def open_with(class_mode="sparse", weights=None, **arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        keys = {"class_mode": class_mode, "weights": weights, "validation_split": 0.0}
        return Arrays(path=tmp_path / "a.npz", **keys).open()

    return open_with


def test_double_precision_becomes_single(opened):
    train = opened(x=X, y=[0, 1, 2, 0, 1, 2]).splits["train"]
    assert train.spec.dtype == np.float32
    assert train.read(1).tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("y", "names", "codes"),
    [
        ([3, 10, 3, 10, 3, 10], ("3", "10"), [0, 1, 0, 1, 0, 1]),
        ([[1], [0], [1], [0], [1], [0]], ("0", "1"), [1, 0, 1, 0, 1, 0]),
        (["b", "a", "b", "a", "b", "a"], ("a", "b"), [1, 0, 1, 0, 1, 0]),
        (["10", "9", "10", "9", "9", "9"], ("9", "10"), [1, 0, 1, 0, 0, 0]),
        (np.eye(3)[[0, 1, 2, 2, 1, 0]], ("0", "1", "2"), [0, 1, 2, 2, 1, 0]),
        ([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], ("0", "1"), [0, 1, 0, 1, 0, 1]),
    ],
    ids=["numbers", "column", "names", "names of numbers", "one-hot", "whole floats"],
)
def test_classes_are_taken_as_people_store_them(opened, y, names, codes):
    labels = opened(x=X, y=y).splits["train"].labels
    assert labels.heads[0].class_names == names
    assert labels.columns[0].tolist() == codes


def test_arrays_of_other_splits_are_the_splits(opened):
    splits = opened(x=X, y=[0, 1] * 3, x_test=X[:2], y_test=[1, 0], x_validation=X[:1], y_validation=[1]).splits
    assert {split: len(source) for split, source in splits.items()} == {"train": 6, "validation": 1, "test": 2}
    assert splits["test"].labels.columns[0].tolist() == [1, 0]
    assert list(splits["test"].ids) == ["test-0", "test-1"]


def test_names_of_other_tools_are_the_splits(opened):
    arrays = {"x_train": X, "y_train": [0, 1] * 3, "X_Val": X[:2], "Y_val": [1, 0], "x_test": X[:1], "y_test": [0]}
    splits = opened(**arrays).splits
    assert {split: len(source) for split, source in splits.items()} == {"train": 6, "validation": 2, "test": 1}
    assert list(splits["validation"].ids) == ["validation-0", "validation-1"]


def test_arrays_that_are_not_read_are_named(opened):
    notes = opened(x=X, y=[0, 1] * 3, sample_weight=X[:, 0], y_test=[1]).notes
    assert [note.partition(" in ")[0] for note in notes] == ["sample_weight, y_test"]
    assert not opened(x=X, y=[0, 1] * 3, class_mode=None).notes


def test_split_by_another_name_reaches_workers(opened):
    travelled = pickle.loads(pickle.dumps(opened(x_train=X, x_dev=X[:2], class_mode=None).splits["validation"]))
    assert travelled.ids == ["validation-0", "validation-1"]
    assert travelled.read(1).tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "x_train": X, "y": [0] * 6}, "must hold each array once, got both x and x_train; leave one out"),
        ({"x": X, "y": [0, 1] * 3, "x_val": X, "X_valid": X}, "got both x_val and X_valid"),
        ({"x_train": X}, "must hold an array y_train for data.class_mode=sparse, got x_train"),
        ({"x": X, "y": ["a", "b", "", "a", "b", "a"]}, "classes must have names, got an empty one among '', 'a', 'b'"),
        ({"y": [1]}, "must hold an array x, got y"),
        ({"x": X}, "must hold an array y for data.class_mode=sparse, got x; .*class_mode=null or input"),
        (
            {"x": X, "y": [0, 1]},
            r"y must have a row for each of 6 samples, got shape \(2,\)",
        ),
        (
            {"x": X, "y": X[:, 0] + 0.5},
            r"one class per sample.* of float64.*class_mode=raw predicts numbers",
        ),
        (
            {"x": X, "y": MARKS},
            r"one class per sample.*class_mode=multi_label reads a 0 or 1 for each class",
        ),
        ({"x": X, "y": [0, 1] * 3, "x_test": X[:, :1], "y_test": [0] * 6}, r"x_test must hold samples like those of x"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(opened, arrays, message):
    with pytest.raises(DataError, match=message):
        opened(**arrays)


def test_file_with_python_objects_is_refused(opened):
    with pytest.raises(DataError, match=r"a\.npz: x must hold numbers or texts, .* as in x\.astype\(str\)"):
        opened(x=np.array([{}, []], object))


@pytest.mark.parametrize("content", [b"", b"no zip at all"])
def test_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz must be an \.npz file"):
        Arrays(path=tmp_path / "a.npz").open()


def test_header_that_claims_gigabytes_is_refused(tmp_path):
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (5000000000, 1), }"
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + b"\0" * 1000)
    with pytest.raises(DataError, match=r"x.npy ends after 1,000 of 20,000,000,000 bytes of values"):
        Arrays(path=tmp_path / "a.npz").open()


def test_arrays_beyond_memory_are_refused(opened, monkeypatch):
    monkeypatch.setattr("runner.data.archive.available_bytes", lambda: 100_000)
    message = r"^data=arrays loads all arrays of .*a.npz, 800.0 kB, but only 100.0 kB of memory are free; save each"
    with pytest.raises(DataError, match=message):
        opened(x=np.zeros((100, 1000)), class_mode=None)


def test_single_array_is_refused_unread(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(DataError, match="must be an .npz file of named arrays, got a single array"):
        Arrays(path=tmp_path / "a.npz").open()


def test_rows_do_not_travel_to_workers(opened):
    train = opened(x=np.zeros((1000, 1000)), class_mode=None).splits["train"]
    assert len(pickle.dumps(train)) < 10_000


@pytest.mark.parametrize(
    ("y", "values", "column"),
    [
        (np.arange(6) / 4, (), [0, 0.25, 0.5, 0.75, 1, 1.25]),
        (np.arange(6)[:, None], (), [0, 1, 2, 3, 4, 5]),
        (X, ("0", "1"), X.tolist()),
    ],
    ids=["numbers", "column", "rows"],
)
def test_numbers_are_targets(opened, y, values, column):
    labels = opened("raw", x=X, y=y, x_val=X[:2], y_val=y[:2]).splits["train"].labels
    assert [(head.mode, head.value_names) for head in labels.heads] == [("raw", values)]
    assert labels.columns[0].tolist() == column
    assert labels.columns[0].dtype == np.float32
    assert labels.weights is None


def test_rows_of_marks_are_several_classes(opened):
    splits = opened("multi_label", x=X, y=MARKS, x_test=X[:2], y_test=MARKS[4:].astype(bool)).splits
    assert [(head.mode, head.class_names) for head in splits["test"].labels.heads] == [("multi_label", ("0", "1", "2"))]
    assert splits["train"].labels.texts() == ["0|1", "", "2", "0|1", "", "2"]
    assert splits["test"].labels.encode(np.arange(2), X[:2]).tolist() == [[0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("y", [MARKS * 2, MARKS[:5], MARKS[:, 0], MARKS - 0.5])
def test_other_rows_are_no_marks(opened, y):
    with pytest.raises(DataError, match=r"y must hold a 0 or 1 for each class, of shape \(6, classes\), for"):
        opened("multi_label", x=X, y=y)


def test_weights_belong_to_their_split(opened):
    y, w = np.arange(6.0), np.arange(6)
    splits = opened("raw", "w", x=X, y=y, W=w, x_val=X[:2], y_val=y[:2], x_test=X[:1], y_test=y[:1], w_test=[5]).splits
    found = {split: source.labels.weights for split, source in splits.items()}
    assert found["train"].tolist() == w.tolist() and found["train"].dtype == np.float32
    assert found["validation"] is None and found["test"].tolist() == [5]


def test_weights_that_are_not_read_are_named(opened):
    (note,) = opened(x=X, y=[0, 1] * 3, sample_weight=np.ones(6)).notes
    assert note.startswith("sample_weight in ") and note.endswith("and weights are read by data.weights=NAME")


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"y": np.zeros((5, 2, 2))}, r"y must hold a target for each of 6 samples, got 5"),
        ({"y": np.zeros(5)}, r"of shape \(6,\) or \(6, values\); got shape \(5,\)"),
        ({"y": np.array(["a"] * 6)}, "got shape .* of <U1"),
        ({"y": [0, np.nan, 0, 0, 0, 0]}, "y must hold numbers, got NaN in row 1"),
        ({"y": X, "x_val": X, "y_val": X[:, 0]}, "y_val must hold as many numbers per sample as y, 2, got 1"),
        ({"y": X, "w": np.full(6, -1)}, "w must hold one weight of at least 0 per sample"),
        ({"y": X, "w": X}, "w must hold one weight of at least 0 per sample"),
        ({"y": X, "v": np.ones(6)}, "must hold an array w for data.weights, got x, y, v"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(opened, arrays, told):
    weights = "w" if {"v", "w"} & arrays.keys() else None
    with pytest.raises(DataError, match=told):
        opened("raw", weights, x=X, **arrays)


@pytest.mark.parametrize(("keys", "told"), [({"class_mode": None}, "must be null"), ({"weights": "Y"}, "other than x")])
def test_weights_without_an_effect_are_refused(keys, told):
    with pytest.raises(ValueError, match=told):
        Arrays(path="a.npz", **{"weights": "w", **keys})
