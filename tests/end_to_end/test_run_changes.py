"""Whole runs whose samples are changed on their way."""

import json

import numpy as np
import pytest

from runner import compose
from runner.errors import DataError
from runner.modes.run import run

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

QUICK = ["model=mlp", "train.epochs=1", "data.limit=60", "loader.workers=2"]
MINE = """
def small(array, rng):
    return array[::2, ::2] / 255
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The run's folder, where the user's module lies beside it."""
    (tmp_path / "mine_r.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "run"
    made.mkdir()
    return made


def told(folder):
    return (folder / "run.log").read_text()


def test_augmented_model_takes_plain_samples(folder, digits_root, tmp_path):
    keys = [*QUICK, f"data.root={digits_root}", "data.augment.rotation=0.05", "data.augment.crop=[6,6]"]
    run(compose([*keys, "data.transform=mine_r.small", "extensions=[mine_r]"]), folder=folder)
    document = json.loads((folder / "run.json").read_text())
    assert (document["data"]["shape"], document["data"]["dtype"]) == ([3, 3, 1], "float32")
    assert document["data"]["samples"] == {"train": 60, "validation": 60, "test": 60}
    log = told(folder)
    assert "8×8×1 uint8 per sample, delivered as 3×3×1 float32" in log
    assert "augmented in training: crop [6, 6], rotation 0.05" in log
    assert "transformed by mine_r.small" in log
    assert "note: data.limit=60 leaves 60 of" in log
    again = tmp_path / "again"
    again.mkdir()
    record = run(compose(["mode=evaluate", f"from_run={folder}", "extensions=[mine_r]"]), folder=again)
    assert record.document["results"]["evaluate"]["loss"] == document["results"]["evaluate"]["loss"]


def test_run_records_what_auto_chose_and_why(folder, digits_root):
    run(compose([*QUICK, f"data.root={digits_root}", "loader=auto"]), folder=folder)
    loader = json.loads((folder / "run.json").read_text())["loader"]
    assert (loader["kind"], loader["asked"], loader["workers"]) == ("in_memory", "auto", 2)
    assert f"chosen by auto: {loader['reason']}" in told(folder)
    assert "kind: auto" in (folder / "config.yaml").read_text()


def test_check_uses_the_loader_auto_chose(folder, digits_root):
    keys = ["mode=check", "data.limit=30", f"data.root={digits_root}", "loader=auto", "data.augment.crop=[6,6]"]
    run(compose(keys), folder=folder)
    check = json.loads((folder / "check.json").read_text())
    assert check["batch"]["x"]["shape"] == [30, 6, 6, 1]
    assert set(check["memory"]["needed_bytes"]) == {"in_memory", "generator", "sequence", "directory_flow"}


def test_unusable_augmentation_is_refused_early(folder, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 5), np.float32), y=np.arange(30) % 3)
    keys = ["data=arrays", f"data.path={tmp_path / 'a.npz'}", "model=mlp", "data.augment.flip=vertical"]
    with pytest.raises(DataError, match=r"^data\.augment needs images .* got samples of 5 float32"):
        run(compose(keys), folder=folder)
