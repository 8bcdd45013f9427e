"""Numbers to predict keep the names that are given to them, whatever kind of data they come from."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from runner.data.arrays import Arrays
from runner.data.custom import Custom
from runner.data.labels import Head
from runner.data.npy import Npy
from runner.errors import DataError

ROWS = np.arange(12, dtype=np.float64).reshape(6, 2) / 7
NAMES = ("area", "width")
HEAD = Head("", "raw", value_names=NAMES)


def arrays(folder, rows, **keys):
    np.savez(folder / "a.npz", x=np.zeros((len(rows), 3)), y=rows)
    return Arrays(path=folder / "a.npz", class_mode="raw", **keys)


def npy(folder, rows, **keys):
    for number in range(len(rows)):
        np.save(folder / f"{number}.npy", np.zeros((2, 2)))
    ids = [str(number) for number in range(len(rows))]
    (folder / "partition.json").write_text(json.dumps({"train": ids}))
    (folder / "labels.json").write_text(json.dumps(dict(zip(ids, np.asarray(rows).tolist(), strict=True))))
    files = {"partition": folder / "partition.json", "labels": folder / "labels.json"}
    return Npy(root=folder, class_mode="raw", **files, **keys)


def custom(folder, rows, **keys):
    (folder / "mine_numbers.py").write_text(
        "import numpy as np\n"
        "class Numbers:\n"
        "    def __init__(self, labels): self.labels = labels\n"
        "    def __len__(self): return len(self.labels)\n"
        "    def read(self, index): return np.zeros(3)\n"
    )
    given = {"labels": np.asarray(rows).tolist()}
    return Custom(target="mine_numbers.Numbers", arguments=given, class_mode="raw", **keys)


every = pytest.mark.parametrize("data", [arrays, npy, custom])


@pytest.fixture(autouse=True)
def importable(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)


@every
def test_numbers_keep_their_names(data, tmp_path):
    dataset = data(tmp_path, ROWS, value_names=NAMES, validation_split=0.0).open()
    assert dataset.heads == (HEAD,)
    assert np.allclose(dataset.splits["train"].labels.columns[0], ROWS)


@every
def test_numbers_without_names_have_positions(data, tmp_path):
    made = data(tmp_path, ROWS, validation_split=0.0)
    assert made.open().heads == (Head("", "raw", value_names=("0", "1")),)
    assert made.open_for((HEAD,)).heads == (HEAD,)  # a model keeps the names that it was trained with
    assert data(tmp_path, ROWS[:, 0]).open().heads == (Head("", "raw"),)
    assert data(tmp_path, ROWS[:, 0], value_names=("area",)).open().heads == (Head("", "raw", value_names=("area",)),)


@every
def test_each_number_needs_a_name(data, tmp_path):
    with pytest.raises(DataError, match=r"data\.value_names must name 2 numbers per sample, got 3: a, b, c"):
        data(tmp_path, ROWS, value_names=("a", "b", "c")).open()
    with pytest.raises(ValidationError, match=r"value_names must be different names, got \[a, a\]"):
        data(tmp_path, ROWS, value_names=("a", "a"))


def test_names_without_numbers_are_refused(tmp_path):
    with pytest.raises(ValidationError, match=r"value_names must be null with class_mode=sparse, got \[area\]"):
        Arrays(path=tmp_path / "a.npz", value_names=("area",))
    other = Head("", "raw", value_names=("height", "width"))
    with pytest.raises(DataError, match="the data must have the model's target"):
        arrays(tmp_path, ROWS, value_names=NAMES).open_for((other,))
