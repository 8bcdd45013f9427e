"""Arrays to predict, of any shape: rows of an npz file, npy files, and arrays of custom samples."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from runner.data.arrays import Arrays
from runner.data.custom import Custom
from runner.data.labels import Head
from runner.data.npy import Npy
from runner.errors import BadSampleError, DataError
from runner.fields import Layout

X = np.arange(6 * 3, dtype=np.float32).reshape(6, 3)
Y = np.arange(6 * 8, dtype=np.float64).reshape(6, 2, 4)
MINE = """
import numpy as np

class Maps:
    targets, inputs = "map", ("x", "age")
    def __len__(self): return 6
    def read(self, index):
        x, target = np.arange(3.0) + 3 * index, np.arange(8.0).reshape(2, 4) + 8 * index
        return {"x": x, "age": index, "note": index, "map": target}

class Lacking(Maps):
    inputs = ("x", "weight")

class Twice(Maps):
    inputs = ("x", "map")

class Plain:
    targets = "map"
    def __len__(self): return 6
    def read(self, index): return np.zeros(3)
"""


def of_arrays(folder):
    np.savez(folder / "a.npz", x=X, y=Y, x_val=X[:2], y_val=Y[:2])
    return Arrays(path=folder / "a.npz", class_mode="raw")


def of_npy(folder):
    for name, arrays in (("x", X), ("y", Y)):
        (folder / name).mkdir()
        for number, array in enumerate(arrays):
            np.save(folder / name / f"{number}.npy", array)
    (folder / "partition.json").write_text(json.dumps({"train": list("012345")}))
    return Npy(
        root=folder / "x",
        targets=folder / "y",
        partition=folder / "partition.json",
        class_mode="raw",
        validation_split=0,
    )


def of_custom(folder):
    return Custom(target="mine_maps.Maps", class_mode="raw", validation_split=0)


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_maps.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("data", [of_arrays, of_npy, of_custom])
def test_samples_hold_the_array_to_predict(data, tmp_path):
    dataset = data(tmp_path).open()
    (head,), source = dataset.heads, dataset.splits["train"]
    assert (head.mode, head.shape) == ("raw", (2, 4))
    for index in (0, 5):
        sample = source.read(index).arrays
        assert np.array_equal(sample[head.field], Y[index])
        assert np.array_equal(next(iter(sample.values())), X[index])
    assert source.labels.columns[0].size == 0


def test_custom_samples_choose_their_inputs():
    names = [name for name, _ in Custom(target="mine_maps.Maps", class_mode="raw").open().spec.specs]
    assert names == ["x", "age", "map"]
    without = Custom(target="mine_maps.Maps", class_mode=None).open()
    assert isinstance(without.spec, Layout)
    assert [name for name, _ in without.spec.specs] == ["x", "age"]


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        (
            "Lacking",
            DataError,
            r"read\(\d\) must return a dict with x, weight, map, which inputs and targets name, got no weight",
        ),
        ("Twice", DataError, "inputs must not name map, which is the target"),
        ("Plain", DataError, r"read must return a dict with the sample and the array map for data\.class_mode=raw"),
    ],
)
def test_custom_samples_that_do_not_fit(name, error, told):
    with pytest.raises(error, match=told):
        Custom(target=f"mine_maps.{name}", class_mode="raw").open()


def test_arrays_of_other_shapes_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y, x_val=X, y_val=Y[:, :1])
    arrays = Arrays(path=tmp_path / "a.npz", class_mode="raw")
    with pytest.raises(DataError, match=r"y_val must hold arrays of the shape 2×4, as y, got 1×4"):
        arrays.open()
    np.savez(tmp_path / "a.npz", x=X, y=Y[:4])
    with pytest.raises(DataError, match=r"y must hold a target for each of 6 samples, got 4"):
        arrays.open()
    with pytest.raises(DataError, match=r"data\.value_names must be null for targets of several axes"):
        Arrays(path=tmp_path / "a.npz", class_mode="raw", value_names=("a",)).open()


def test_npy_targets_belong_to_raw(tmp_path):
    npy = of_npy(tmp_path)
    with pytest.raises(ValidationError, match="targets must be null with class_mode=sparse"):
        Npy(root=tmp_path, targets=tmp_path / "y")
    np.save(tmp_path / "y" / "3.npy", np.zeros((2, 5)))
    with pytest.raises(BadSampleError, match=r"y/3\.npy"):
        npy.open().splits["train"].read(3)
    Head("", "raw", shape=(2, 4)).weigh(np.ones(3))


def test_weights_have_the_rank_of_the_loss():
    weights = np.arange(3, dtype=np.float32)
    shapes = {head.shape: head.weigh(weights).shape for head in (Head("", "raw", shape=s) for s in ((), (4,), (2, 4)))}
    assert shapes == {(): (3,), (4,): (3,), (2, 4): (3, 1)}
    assert Head("", "mask").weigh(weights).shape == (3, 1, 1)
