"""The monitored value: asked of the compiled model itself, whoever compiled it."""

import keras
import numpy as np
import pytest

from runner.batch import Batch
from runner.errors import ConfigurationError
from runner.training.monitor import better

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
