"""A run whose training samples are mixed with each other: resumed exactly, and labelled as such."""

import pytest

from runner import compose
from runner.modes.run import run
from runner.records.run_folder import RunFolder
from runner.reports.page import render
from tests.support.run_files import read_document, untimed_metrics

pytestmark = pytest.mark.usefixtures("empty_pages")

KEYS = ["mode=fit", "train.epochs=2", "loader.batch_size=32", "model=mlp", "model.hidden_units=[8]", "data.limit=150"]
KEYS += ["data.augment.mixup=0.4", "data.augment.cutmix=1", "train.class_weight=balanced", "loader.workers=1"]


@pytest.fixture(scope="module")
def train(digits_root, tmp_path_factory):
    def start(name, *keys):
        folder = tmp_path_factory.mktemp(name)
        return run(
            compose([f"data.root={digits_root}", *KEYS, "train.metrics=[accuracy,precision]", *keys]), folder=folder
        ).path

    return start


@pytest.fixture(scope="module")
def whole(train):
    return train("whole")


def test_resumed_run_mixes_as_the_whole_one(train, whole):
    part = train("part", "train.epochs=1")
    run(compose([f"resume={part}", "train.epochs=2", "loader=generator"]))
    assert read_document(part)["digests"] == read_document(whole)["digests"]
    assert untimed_metrics(part) == untimed_metrics(whole)


def test_values_of_mixed_samples_are_labelled(whole):
    assert read_document(whole)["results"]["fit"]["of_mixed_samples"] is True
    assert "are those of mixed samples" in (whole / "run.log").read_text()
    assert "those of samples mixed with each other" in render(RunFolder(whole))
    last = untimed_metrics(whole)[-1]
    assert {"accuracy", "precision", "val_accuracy", "val_precision"} <= set(last)
