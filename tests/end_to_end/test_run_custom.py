"""Whole runs with code of the user's own."""

import json
import resource
import sys

import pytest

from runner import compose
from runner.errors import ConfigurationError
from runner.modes.run import Origin, run

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

MINE = """
import keras

@keras.saving.register_keras_serializable("mine_w")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def build(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape), keras.layers.Rescaling(1 / 255), Twice(), keras.layers.Flatten(),
        keras.layers.Dense(num_classes, activation="softmax"),
    ])

def compiled(input_shape, num_classes):
    model = build(input_shape, num_classes)
    model.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy", metrics=["top_k_categorical_accuracy"])
    return model
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "mine_w.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("mine_w", None)


def test_custom_model_is_trained_and_reused(digits_root):
    keys = [f"data.root={digits_root}", "data.limit=100", "data.class_mode=categorical", "train.epochs=2"]
    first = run(compose([*keys, "extensions=[mine_w]", "model=custom", "model.target=mine_w.build"]))
    expected = first.document["results"]["evaluate"]
    assert expected["split"] == "test"
    import keras

    registered = keras.saving.get_custom_objects()
    for name in [name for name, known in registered.items() if known.__module__ == "mine_w"]:
        del registered[name]
    sys.modules.pop("mine_w")  # as in a new process: the layer is known once the module is imported
    again = run(compose(["mode=evaluate", f"from_run={first.path}", "extensions=[mine_w]", "split=test"]))
    assert again.document["results"]["evaluate"]["accuracy"] >= expected["accuracy"] - 0.1
    assert again.document["from_run"]["heads"] == first.document["data"]["heads"]


def test_user_compiled_model_keeps_its_metrics(digits_root):
    keys = [f"data.root={digits_root}", "data.limit=60", "data.class_mode=categorical", "train.epochs=1"]
    keys += ["extensions=[mine_w]", "model=custom", "model.target=mine_w.compiled"]
    record = run(compose([*keys, "train.monitor=val_top_k_categorical_accuracy"]))
    header = (record.path / "metrics.csv").read_text().splitlines()[0].split(",")
    assert header[1:5] == ["loss", "top_k_categorical_accuracy", "val_loss", "val_top_k_categorical_accuracy"]
    assert "compiled by the function" in (record.path / "run.log").read_text()
    assert json.loads((record.path / "run.json").read_text())["status"] == "completed"


@pytest.mark.parametrize(
    "override", ["train.learning_rate=0.001", "train.optimizer.name=sgd", "train.jit_compile=true"]
)
def test_keys_a_compiled_model_ignores_are_refused(digits_root, override):
    keys = [f"data.root={digits_root}", "data.limit=60", "deterministic=false"]
    keys += ["extensions=[mine_w]", "model=custom", "model.target=mine_w.compiled"]
    config = compose([*keys, override])
    with pytest.raises(
        ConfigurationError, match=f"{override.partition('=')[0].removesuffix('.name')} must be left out"
    ):
        run(config, origin=Origin(overrides=[override]))


SOURCE = """
import sys
import numpy as np

class Digits:
    def __init__(self, count=60, labelled=True):
        self.count = count
        if labelled:
            self.labels = [index % 3 for index in range(count)]
    def __len__(self):
        return self.count
    def read(self, index):
        return np.full((4, 4), 80 * (index % 3), np.uint8)
"""


def test_custom_source_is_learnt_and_reused(tmp_path):
    (tmp_path / "mine_d.py").write_text(SOURCE)
    keys = ["extensions=[mine_d]", "data=custom", "data.target=mine_d.Digits", "model=mlp", "train.epochs=1"]
    first = run(compose(keys))
    assert first.document["data"]["samples"]["train"] + first.document["data"]["samples"]["validation"] == 60
    again = run(compose(["mode=evaluate", f"from_run={first.path}", "extensions=[mine_d]", "split=validation"]))
    assert again.document["results"]["evaluate"]["loss"] == pytest.approx(first.document["results"]["evaluate"]["loss"])
    unlabelled = ["data.class_mode=null", "data.arguments={count: 5, labelled: false}"]
    predicted = run(compose(["mode=predict", f"from_run={first.path}", "extensions=[mine_d]", *unlabelled]))
    rows = (predicted.path / "predictions.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", "0", "1", "2", "3", "4"]
    sys.modules.pop("mine_d", None)


BUSY = """
import time
import numpy as np

HELD = []

class Busy:
    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return 40

    @property
    def labels(self):
        return [str(index % 2) for index in range(40)]

    def read(self, index):
        if not HELD:
            HELD.append(bytearray(b"x") * 50_000_000)
        began = time.process_time()
        while time.process_time() - began < self.seconds:
            pass
        return np.full((2, 2, 1), index, np.uint8)
"""


@pytest.fixture
def busy(tmp_path, monkeypatch):
    """Samples that take `data.arguments.seconds` of a processor each, read by code that holds 50 MB in each process."""
    (tmp_path / "mine_busy.py").write_text(BUSY)
    yield ["extensions=[mine_busy]", "data=custom", "data.target=mine_busy.Busy", "data.validation_split=0"]
    sys.modules.pop("mine_busy", None)


def test_run_counts_worker_time_and_memory(busy, capsys):
    keys = [*busy, "model=mlp", "mode=fit", "train.epochs=2", "loader.workers=1"]
    # All that is imported, and the 50 MB, are in memory now.
    run(compose([*keys, "data.arguments.seconds=0", "loader.use_multiprocessing=false"]))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    capsys.readouterr()
    document = run(compose([*keys, "data.arguments.seconds=0.02", "loader.use_multiprocessing=true"])).document
    took = document["results"]["fit"]
    assert took["samples_seen"] == 80
    assert 80 * 0.02 <= took["cpu_seconds"] < 60
    assert took["peak_memory_bytes"] > own + 50_000_000
    printed = f"resources CPU time {took['cpu_seconds']:,.1f} s (with workers), peak memory "
    assert printed in capsys.readouterr().out
