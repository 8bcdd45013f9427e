"""The monitored value: asked of the compiled model itself, whoever compiled it."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec, Batch
from runner.data.labels import Head
from runner.errors import ConfigurationError, TrainingError
from runner.models.base import Task, output_of
from runner.models.compile import compile_model
from runner.training.monitor import better, direction_of, known_columns, metric_goals, refuse_absent
from runner.training.settings import Train
from runner.training.setup import Training

BATCH = Batch(np.zeros((4, 3), np.float32), np.array([0, 1, 2, 0], np.float32), None, tuple("abcd"))


@keras.saving.register_keras_serializable("test_monitored")
class Distance(keras.metrics.MeanAbsoluteError):
    """A metric that says nothing of its direction."""

    def __init__(self, name):
        super().__init__(name=name)
        del self._direction


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")])
    names = {"hits": keras.metrics.SparseCategoricalAccuracy, "miss": keras.metrics.SparseCategoricalCrossentropy}
    own = [Distance("far"), Distance("far_error")]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[make(name=name) for name, make in names.items()])
    far = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    far.compile("sgd", "mse", metrics=own)
    return {"classes": model, "numbers": far}


def judged(model, name, *, validated=True, callbacks=(), mode="auto"):
    """The direction of a monitored value in a training of `model`."""
    settings = Train(monitor=name, monitor_mode=mode)
    loader = SimpleNamespace(first_batch=lambda: BATCH, source=SimpleNamespace(labels=SimpleNamespace(heads=())))
    return direction_of(Training(model, loader, loader if validated else None, settings, callbacks=callbacks))


@pytest.mark.parametrize(
    ("name", "mode"), [("hits", "max"), ("val_hits", "max"), ("val_miss", "min"), ("loss", "min"), ("val_loss", "min")]
)
def test_direction_of_a_metric_is_that_of_keras(model, name, mode):
    assert judged(model["classes"], name) == mode


def test_direction_follows_from_the_name(model):
    assert judged(model["numbers"], "val_far_error") == "min"
    with pytest.raises(
        ConfigurationError, match=r"train\.monitor must be a value whose better direction Keras knows, got 'far'"
    ):
        judged(model["numbers"], "far")


def test_unknown_monitor_is_refused(model):
    with pytest.raises(ConfigurationError) as refused:
        judged(model["classes"], "val_accuracy")
    assert str(refused.value) == (
        "train.monitor must be auto or one of loss, hits, miss, val_loss, val_hits, val_miss, got 'val_accuracy'"
    )
    with pytest.raises(ConfigurationError, match=r"one of loss, hits, miss, got 'val_loss'"):
        judged(model["classes"], "val_loss", validated=False)


def test_nearest_column_is_named(model):
    with pytest.raises(ConfigurationError, match=r"got 'val_hit'; did you mean 'val_hits'\?"):
        judged(model["classes"], "val_hit")


def test_callback_may_add_the_monitored_value(model):
    """Its name is not known before the first epoch, nor which way it is better unless it says so."""
    assert judged(model["classes"], "my_accuracy", callbacks=["any"]) == "max"
    assert judged(model["classes"], "score", callbacks=["any"], mode="max") == "max"
    with pytest.raises(ConfigurationError, match=r"got 'score'; set train\.monitor_mode=max"):
        judged(model["classes"], "score", callbacks=["any"])


def test_value_that_no_callback_adds_is_named():
    training = Training(None, None, None, Train(monitor="scor", monitor_mode="max"), callbacks=["any"])
    row = {"phase": 1, "loss": 0.5, "score": 2.0, "seconds": 1.0}
    refuse_absent(training, 1, row)  # only the first epoch must have it
    with pytest.raises(TrainingError) as refused:
        refuse_absent(training, 0, row)
    assert str(refused.value) == (
        "train.monitor must be auto or one of loss, score, got 'scor', which no callback has added to the logs of "
        "epoch 1; did you mean 'score'?"
    )


def test_loss_is_known_without_a_batch(model):
    assert direction_of(Training(None, None, None, Train(monitor="loss"))) == "min"  # there is no loader to ask


def test_more_overlap_of_masks_is_better():
    made = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Conv2D(3, 1, activation="softmax")])
    output = output_of(Head("", "mask", ("a", "b", "c")), (2, 2))
    compile_model(made, Task(ArraySpec((2, 2, 3), np.dtype("f4")), "none", (output,)), optimizer="sgd")
    batch = Batch(np.zeros((1, 2, 2, 3), "f4"), np.zeros((1, 2, 2), "u1"), None, ("a",))
    assert "val_mean_iou" in known_columns(made, batch, validated=True)
    assert better(made, "val_mean_iou") == "max"
    assert metric_goals(made) == {"loss": "min", "mean_iou": "max"}
