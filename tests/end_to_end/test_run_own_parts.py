"""Runs with a loss, metrics, an optimizer and a schedule by their names, some of them the user's own."""

import csv
import sys
from importlib import import_module

import pytest

from runner import compose
from runner.errors import ConfigurationError
from runner.models.custom import Custom
from runner.modes.run import build_loader, run
from runner.records.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")

MINE = """
import inspect
import signal

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

class Counter(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        logs["batches"] = self.batches

    def get_state(self):
        return self.batches

    def set_state(self, batches):
        self.batches = batches

class Interrupt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)

def stop_at_once(batch, logs):
    for frame in inspect.stack():
        model = getattr(frame.frame.f_locals.get("self"), "model", None)
        if isinstance(model, keras.Model):
            model.stop_training = True
            return

def build(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(),
        keras.layers.Dense(num_classes, activation="softmax"),
    ])

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


def test_stopped_run_goes_on_with_its_callbacks(keys, whole, tmp_path):
    """The first callback interrupts the run; the state of the second goes on."""
    stopping = [*keys, "mode=fit", "train.checkpoint_every.steps=1"]
    with pytest.raises(KeyboardInterrupt):
        run(
            compose([*stopping, "train.callbacks=[mine_p.Counter, {name: mine_p.Interrupt, step: 3}]"]),
            folder=tmp_path,
        )
    header = [f"resume={tmp_path}", "extensions=[mine_p]"]
    with pytest.raises(
        ConfigurationError, match="exact resume is impossible: the callback mine_p.Interrupt begins again"
    ):
        run(compose(header))
    done = run(compose([*header, "train.callbacks=[mine_p.Counter]", "resume_inexact=true"]))
    assert [float(row["batches"]) for row in rows(done)] == [2, 4]
    assert [row["auc"] for row in rows(done)] == [row["auc"] for row in rows(whole)]
    assert done.document["callbacks"] == {"names": ["mine_p.Counter"], "without_state": []}
    assert done.document["resumed"][-1]["inexact"]


def test_python_gives_a_model_and_callbacks(keys, digits_root):
    import keras

    mine = import_module("mine_p")
    stop = keras.callbacks.LambdaCallback(on_train_batch_end=mine.stop_at_once)
    config = compose([f"data.root={digits_root}", "data.limit=60", "mode=fit", "extensions=[mine_p]"])
    record = run(config, model=mine.build, callbacks=[stop])
    assert record.document["results"]["fit"]["steps"] == 1
    assert len(rows(record)) == 1
    assert RunFolder(record.path).config["model"]["target"] == "mine_p.build"
    assert set(record.document["code"]) == {"callback 0 (LambdaCallback)", "mine_p"}
    with pytest.raises(ConfigurationError, match="model must be a function at the top level of a module"):
        run(config, model=lambda input_shape: None)
    for wrong, got in (
        ([stop, 3], "an object of type int"),
        ([mine.Counter], "the class Counter"),
        (stop, "an object"),
    ):
        with pytest.raises(ConfigurationError, match=f"callbacks must be a list of .*Callback objects, got {got}"):
            run(config, callbacks=wrong)
    for use in (run, build_loader):
        with pytest.raises(ConfigurationError, match="config must be what runner.compose.* returns, got .* type list"):
            use(["mode=check"])
    absent = config.model_copy(update={"model": Custom(target="__main__.absent")})
    with pytest.raises(ConfigurationError, match=r"model.target=__main__.absent is in a script or notebook that this"):
        run(absent)
    with pytest.raises(ConfigurationError, match="callbacks must go with mode=run or mode=fit, got mode=check"):
        run(compose([f"data.root={digits_root}", "mode=check"]), callbacks=[stop])
