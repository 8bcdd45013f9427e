"""A run whose training samples are mixed with each other in one phase: resumed exactly, and labelled as such."""

from zipfile import ZipFile

import keras
import pytest

from runner import compose
from runner.errors import ConfigurationError
from runner.feeds.delivery import RecordedDelivery
from runner.modes.run import run
from runner.records.output import phase_texts
from runner.records.run_folder import RunFolder
from runner.reports.page import render
from tests.support.run_files import read_document, untimed_metrics

pytestmark = pytest.mark.usefixtures("empty_pages")

KEYS = ["mode=fit", "loader.batch_size=32", "model=mlp", "model.hidden_units=[8]", "data.limit=150", "loader.workers=1"]
KEYS += ["data.augment.mixup=0.4", "data.augment.cutmix=1", "train.class_weight=balanced"]
KEYS += ["train.metrics=[accuracy,precision]"]
MIXED, PLAIN = "{epochs: 3, early_stopping: {patience: 0, min_delta: 9}}", "{epochs: 1, augment: {flip: vertical}}"
"""The first phase stops after two epochs; the second does not mix."""


class Stop(keras.callbacks.Callback):
    """Ends the training after its first epoch."""

    stateless = True

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


@pytest.fixture(scope="module")
def train(digits_root, tmp_path_factory):
    def start(name, *phases, callbacks=()):
        folder, keys = tmp_path_factory.mktemp(name), [*KEYS, f"train.phases=[{', '.join(phases)}]"]
        return run(compose([f"data.root={digits_root}", *keys]), folder=folder, callbacks=callbacks).path

    return start


@pytest.fixture(scope="module")
def soft():
    """Whether labels were shares of classes, by step of the whole run."""
    return {}


@pytest.fixture(scope="module")
def whole(train, soft):
    hand_over = RecordedDelivery.hand_over

    def noted(self, step, batch):
        soft[step] = not set(batch.y.ravel().tolist()) <= {0.0, 1.0}
        return hand_over(self, step, batch)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RecordedDelivery, "hand_over", noted)
        return train("whole", MIXED, PLAIN)


def test_only_the_first_phase_mixes(whole, soft):
    assert soft == {**dict.fromkeys(range(10), True), **dict.fromkeys(range(10, 15), False)}


def takes_whole_labels(folder):
    """Whether metrics of the saved model are compiled for labels that are shares of classes."""
    with ZipFile(folder / "model.keras") as model:
        return "WholeLabelMetric" in model.read("config.json").decode()


def test_another_phase_follows_a_completed_run(train, whole):
    """It mixes no samples, as in the run that had both phases from the beginning; and it is kept in later resumes."""
    part = train("part", MIXED)
    assert takes_whole_labels(part)
    other = MIXED.replace("epochs: 3", "epochs: 2")
    with pytest.raises(ConfigurationError, match=r"exact resume is impossible: train.phases changed"):
        run(compose([f"resume={part}", f"train.phases=[{other}, {PLAIN}]"]))
    run(compose([f"resume={part}", f"train.phases=[{MIXED}, {PLAIN}]", "loader=generator"]))
    for section in ("digests", "network"):
        assert read_document(part)[section] == read_document(whole)[section]
    assert untimed_metrics(part) == untimed_metrics(whole)
    assert not takes_whole_labels(part)
    assert compose([f"resume={part}"]).train.phases == compose([f"resume={whole}"]).train.phases


def test_run_that_a_callback_stopped_is_over(train):
    stopped = train("stopped", PLAIN, PLAIN, callbacks=[Stop()])
    with pytest.raises(ConfigurationError, match="got .*stopped0, which a callback stopped; start a new run"):
        run(compose([f"resume={stopped}", f"train.phases=[{PLAIN}, {PLAIN}, {PLAIN}]"]), callbacks=[Stop()])


def test_values_of_mixed_samples_are_labelled(whole):
    assert read_document(whole)["results"]["fit"]["of_mixed_samples"] is True
    log, page = (whole / "run.log").read_text(), render(RunFolder(whole))
    assert "mixed in phase 1: loss and metrics of training are those of mixed samples" in log
    assert "Loss and metrics of training in phase 1 are those of samples mixed with each other" in page
    first, second = phase_texts(RunFolder(whole).document["network"])
    assert first.endswith("adam at 0.001, on mixed samples") and second.endswith("adam at 0.001")
    last = untimed_metrics(whole)[-1]
    assert {"accuracy", "precision", "val_accuracy", "val_precision"} <= set(last)
