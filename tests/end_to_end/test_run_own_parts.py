"""Runs with a loss, metrics, an optimizer and a schedule by their names, some of them the user's own."""

import csv
import sys

import pytest

from runner import compose
from runner.modes.run import run

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")

MINE = """
import keras

register = keras.saving.register_keras_serializable("mine_p")

@register
class Focal(keras.losses.Loss):
    def __init__(self, gamma, name="focal", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        labels = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), 10)
        right = keras.ops.sum(keras.ops.reshape(labels, (-1, 10)) * y_pred, axis=-1)
        return -((1 - right) ** self.gamma) * keras.ops.log(right + 1e-7)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}

@register
def certainty(y_true, y_pred):
    return keras.ops.max(y_pred, axis=-1)

@register
class Slow(keras.optimizers.SGD):
    pass

@register
class Falling(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, num_steps, first=0.1):
        self.num_steps, self.first = num_steps, first

    def __call__(self, step):
        return self.first * (1 - keras.ops.cast(step, "float32") / (2 * self.num_steps))

    def get_config(self):
        return {"num_steps": self.num_steps, "first": self.first}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder to run in, with the user's module."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine_p.py").write_text(MINE)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.syspath_prepend(folder)
        yield folder
    sys.modules.pop("mine_p", None)


@pytest.fixture(scope="module")
def keys(folder, digits_root):
    return [
        f"data.root={digits_root}", "data.limit=60", "data.class_mode=sparse", "model=mlp", "train.epochs=2",
        "extensions=[mine_p]", "train.loss={name: mine_p.Focal, gamma: 1.5}", "train.optimizer=mine_p.Slow",
        "train.learning_rate={name: mine_p.Falling, first: 0.2}", "train.monitor=val_f1_score_3",
        "train.metrics=[accuracy, auc, f1_score, mine_p.certainty]",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(keys):
    """A run from the start to the end."""
    return run(compose(keys))


def rows(record):
    with (record.path / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_metrics_are_columns_of_the_run(whole):
    first, last = rows(whole)
    scores = ["loss", "accuracy", "auc", "certainty", *(f"f1_score_{digit}" for digit in range(10))]
    assert set(first) >= {*scores, *(f"val_{score}" for score in scores)}
    assert float(first["learning_rate"]) == pytest.approx(0.15, 1e-5)
    assert float(last["learning_rate"]) == pytest.approx(0.1, 1e-5)
    document = whole.document
    assert set(document["results"]["evaluate"]) >= set(scores)
    assert document["goals"] == {
        **dict.fromkeys(set(scores) - {"certainty", "loss"}, "max"), "loss": "min",
    }  # fmt: skip
    assert list(document["code"]) == ["mine_p"]


def test_model_loads_with_and_without_its_module(whole):
    import keras

    registered = keras.saving.get_custom_objects()
    for name in [name for name in registered if name.startswith("mine_p>")]:
        del registered[name]
    sys.modules.pop("mine_p")
    file = whole.path / "model.keras"
    assert not keras.saving.load_model(file, compile=False).compiled
    with pytest.raises(TypeError, match="Could not locate class"):
        keras.saving.load_model(file)
    again = run(compose(["mode=evaluate", f"from_run={whole.path}", "extensions=[mine_p]", "split=test"]))
    assert again.document["results"]["evaluate"]["auc"] == whole.document["results"]["evaluate"]["auc"]
