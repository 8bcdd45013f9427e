"""predictions.csv holds what the model said, to the last bit."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.data.labels import Head
from runner.errors import RunnerError
from runner.records import predictions
from runner.records.files import read_table
from runner.records.predictions import write_predictions
from tests.support.clocks import calls_of

PETS = Head("", "categorical", ("cat", "dog"))
SWITCH = Head("", "binary", ("off", "on"))
TWO = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)


def test_predictions_have_label_and_probabilities(tmp_path):
    path = tmp_path / "predictions.csv"
    write_predictions(path, ["a.png", "b.png"], heads=(PETS,), outputs=[TWO], codes=[np.array([0, -1])])
    assert read_table(path) == [
        ["id", "label", "predicted", "cat", "dog"],
        ["a.png", "cat", "dog", "0.25", "0.75"],
        ["b.png", "", "cat", "0.5", "0.5"],
    ]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_binary_predictions_have_both_classes(tmp_path, shape):
    path = tmp_path / "predictions.csv"
    output = np.array([0.25, 0.5, 0.75], np.float32).reshape(shape)
    write_predictions(path, ["a", "b", "c"], heads=(SWITCH,), outputs=[output])
    assert read_table(path) == [
        ["id", "predicted", "off", "on"],
        ["a", "off", "0.75", "0.25"],
        ["b", "off", "0.5", "0.5"],
        ["c", "on", "0.25", "0.75"],
    ]


def test_several_heads_share_a_row(tmp_path):
    path = tmp_path / "predictions.csv"
    heads = (Head("bi", "binary", ("off", "on")), Head("copy", "input"))
    error = np.array([0.125], np.float32)
    codes = [np.array([1]), np.array([], int)]
    write_predictions(path, ["a"], heads=heads, outputs=[np.array([0.75], np.float32), error], codes=codes)
    assert read_table(path) == [
        ["id", "bi_label", "bi_predicted", "bi_off", "bi_on", "copy_mean_squared_error"],
        ["a", "on", "on", "0.25", "0.75", "0.125"],
    ]


def test_predictions_keep_order_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "BLOCK", 3)
    ids = [f"{n}.png" for n in range(8)]
    codes = np.arange(8) % 2
    output = np.eye(2, dtype=np.float32)[codes]
    path = tmp_path / "predictions.csv"
    write_predictions(path, ids, heads=(PETS,), outputs=[output], codes=[codes])
    rows = read_table(path)[1:]
    assert [row[0] for row in rows] == ids
    assert [row[1] for row in rows] == [row[2] for row in rows] == ["cat", "dog"] * 4


ODD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(ODD, min_size=2, max_size=4, unique=True), ODD)
def test_predictions_keep_any_class_name_and_id(names, sample_id):
    output = np.zeros((1, len(names)), np.float32)
    head = Head("", "sparse", tuple(names))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.csv"
        write_predictions(path, [sample_id], heads=(head,), outputs=[output], codes=[np.array([1])])
        header, row = read_table(path)
    assert row[:3] == [sample_id, names[1], names[0]]
    assert [column.removeprefix("p_") for column in header[3:]] == [name.removeprefix("p_") for name in names]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_round_trip(tmp_path, dtype):
    output = np.random.default_rng(0).dirichlet([0.1, 0.1], 500).astype(dtype)
    write_predictions(tmp_path / "p.csv", ["x"] * 500, heads=(PETS,), outputs=[output])
    found = np.array([row[2:] for row in read_table(tmp_path / "p.csv")[1:]], dtype)
    assert np.array_equal(found, output)


def test_predictions_are_written_without_samples(tmp_path):
    write_predictions(tmp_path / "p.csv", [], heads=(SWITCH,), outputs=[np.zeros((0, 1))])
    assert read_table(tmp_path / "p.csv") == [["id", "predicted", "off", "on"]]


@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (2,), (2, 2, 1)])
def test_outputs_of_another_shape_are_refused(tmp_path, shape):
    with pytest.raises(RunnerError, match=r"\(categorical\) must have shape \(2, 2\), got \("):
        write_predictions(tmp_path / "p.csv", ["a", "b"], heads=(PETS,), outputs=[np.zeros(shape)])
    assert list(tmp_path.iterdir()) == []


def test_predictions_are_not_overwritten(tmp_path):
    write_predictions(tmp_path / "p.csv", ["a", "b"], heads=(PETS,), outputs=[TWO])
    with pytest.raises(RunnerError, match=r"p\.csv already exists"):
        write_predictions(tmp_path / "p.csv", ["a", "b"], heads=(PETS,), outputs=[TWO])


def test_predictions_give_keras_accuracy_again(tmp_path):
    import keras

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 1000)
    # Values at and next to the threshold are where a rounded file would differ.
    near = np.nextafter(np.float32(0.5), np.array([0, 0.5, 1], np.float32), dtype=np.float32)
    output = rng.choice(near, (1000, 1))
    write_predictions(tmp_path / "p.csv", ["x"] * 1000, heads=(SWITCH,), outputs=[output], codes=[truth])
    table = pd.read_csv(tmp_path / "p.csv")
    accuracy = keras.metrics.binary_accuracy(truth[:, None].astype("float32"), output)
    expected = float(np.mean(keras.ops.convert_to_numpy(accuracy)))
    assert (table["label"] == table["predicted"]).mean() == pytest.approx(expected, abs=1e-7)
    assert ((table["on"] > 0.5) == (table["label"] == "on")).mean() == pytest.approx(expected)


def test_predictions_take_few_calls_per_sample(tmp_path):
    names = tuple("abcdefghij")
    output = np.random.default_rng(0).dirichlet(np.ones(10), 100_000).astype(np.float32)
    ids = [f"{n}.png" for n in range(100_000)]
    heads = (Head("", "sparse", names),)
    assert calls_of(write_predictions, tmp_path / "p.csv", ids, heads=heads, outputs=[output]) < 250_000
