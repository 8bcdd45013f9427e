"""The monitored value: asked of the compiled model itself, whoever compiled it."""

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec, Batch
from runner.data.labels import Head
from runner.errors import ConfigurationError
from runner.models.base import Task, output_of
from runner.models.compile import compile_model
from runner.training.monitor import better, metric_goals

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


def judged(model, name, validated=True):
    return better(model, name, validated=validated, first=lambda: BATCH)


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


def test_loss_is_known_without_a_batch(model):
    assert better(model["classes"], "loss", validated=False, first=lambda: pytest.fail("a batch was read")) == "min"


def test_more_overlap_of_masks_is_better():
    made = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Conv2D(3, 1, activation="softmax")])
    output = output_of(Head("", "mask", ("a", "b", "c")), (2, 2))
    compile_model(made, Task(ArraySpec((2, 2, 3), np.dtype("f4")), "none", (output,)), optimizer="sgd")
    batch = Batch(np.zeros((1, 2, 2, 3), "f4"), np.zeros((1, 2, 2), "u1"), None, ("a",))
    assert better(made, "val_mean_iou", validated=True, first=lambda: batch) == "max"
    assert metric_goals(made) == {"loss": "min", "mean_iou": "max"}
