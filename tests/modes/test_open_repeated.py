"""The order of classes: one rule for all sources, and that of the record for runs of earlier versions."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from runner import compose
from runner.data.labels import Head
from runner.errors import DataError
from runner.modes.open_data import data_section, open_dataset, open_repeated
from runner.modes.resume import refuse_other_data
from tests.support.photos import write_photos

NAMES = ["0", "1", "2", "10"]


@pytest.fixture
def of_kind(tmp_path, monkeypatch):
    """The keys of a data set of each kind with these classes, each of two samples."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    labels = sorted(NAMES * 2)

    def directory():
        write_photos("photos", NAMES, 2)
        return ["data=directory", "data.root=photos", "data.target_size=[4,4]"]

    def dataframe():
        directory()
        rows = [[f"photos/{name}/0{number}.png", name] for name in NAMES for number in range(2)]
        with open("m.csv", "w", newline="") as file:
            csv.writer(file).writerows([["path", "label"], *rows])
        return ["data=dataframe", "data.manifest=m.csv", "data.target_size=[4,4]"]

    def npy():
        for number in range(8):
            np.save(f"{number}.npy", np.zeros(2))
        ids = [str(number) for number in range(8)]
        for name, content in {"partition": {"train": ids}, "labels": dict(zip(ids, labels))}.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return ["data=npy", "data.root=."]

    def arrays():
        np.savez("a.npz", x=np.zeros((8, 2)), y=labels)
        return ["data=arrays", "data.path=a.npz"]

    def custom():
        (tmp_path / "mine_o.py").write_text(
            f"class Mine:\n    labels = {labels}\n    def __len__(self): return 8\n"
            "    def read(self, index):\n        import numpy\n        return numpy.zeros(2)\n"
        )
        return ["data=custom", "data.target=mine_o.Mine", "extensions=[mine_o]"]

    kinds = {function.__name__: function for function in (directory, dataframe, npy, arrays, custom)}
    return lambda kind: [*kinds[kind](), "data.validation_split=0"]


@pytest.mark.parametrize("kind", ["directory", "dataframe", "npy", "arrays", "custom"])
def test_order_of_classes_is_that_of_numbers(of_kind, kind):
    assert open_dataset(compose(of_kind(kind))).heads[0].class_names == tuple(NAMES)


def test_order_unlike_that_of_keras_is_named(of_kind):
    dataset = open_dataset(compose(of_kind("directory")))
    assert dataset.notes[0].startswith("classes are ordered by number (0, 1, 2 and 1 more), where Keras orders folders")
    assert list(dataset.splits["train"].ids[2:5]) == ["1/00.png", "1/01.png", "10/00.png"]  # as before, by name
    assert dataset.splits["train"].labels.columns[0].tolist() == [0, 0, 1, 1, 3, 3, 2, 2]


def recorded(config, mode="categorical", **changes):
    """A run of an earlier version, which ordered folders as text."""
    data = {"fingerprint": data_section(open_dataset(config))["fingerprint"], **changes}
    return SimpleNamespace(heads=(Head("", mode, tuple(sorted(NAMES))),), document={"data": data}, path="run")


def test_repeated_run_keeps_its_order(of_kind):
    config = compose(of_kind("directory"))
    dataset = open_repeated(config, recorded(config))
    assert dataset.heads[0].class_names == ("0", "1", "10", "2")
    assert dataset.splits["train"].labels.columns[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert data_section(dataset)["fingerprint"] == data_section(open_dataset(config))["fingerprint"]


@pytest.mark.parametrize(
    ("keys", "changes"),
    [([], {"fingerprint": "other"}), (["data.classes=['10','2','1','0']"], {}), ([], {"mode": "sparse"})],
    ids=["other data", "chosen classes", "other class mode"],
)
def test_what_was_changed_has_its_own_order(of_kind, keys, changes):
    config = compose([*of_kind("directory"), *keys])
    assert open_repeated(config, recorded(config, **changes)).heads == open_dataset(config).heads


def test_rerun_of_misread_classes_reads_them_right(of_kind):
    config = compose(of_kind("dataframe"))
    earlier = recorded(config)
    earlier.heads = (Head("", "categorical", ("0", "1")),)
    assert "the classes are not those of run: m.csv: row" in open_repeated(config, earlier).notes[-1]
    with pytest.raises(DataError, match="must hold a class of the training rows, got '2'"):
        open_repeated(config.model_copy(update={"resume": "run"}), earlier)


def test_resume_with_other_splits_is_refused(of_kind):
    config = compose(of_kind("directory"))
    data = data_section(open_dataset(config))
    run = SimpleNamespace(path="run", document={"data": {**data, "samples": {"train": 6, "validation": 2}}})
    with pytest.raises(DataError, match=r"had the splits \{train: 6, validation: 2\}, and has \{train: 8\} now; start"):
        refuse_other_data(config, run, data)
    refuse_other_data(config, SimpleNamespace(path="run", document={"data": data}), data)
    refuse_other_data(config.model_copy(update={"resume_inexact": True}), run, data)
