"""The verdict on a batch that was, or was not, memorised."""

import keras
import numpy as np
import pytest

from runner.batch import Batch
from runner.models.base import Output
from runner.training.overfit import OverfitResult, verdict

SOFTMAX = Output("", (3,), "softmax", "categorical_crossentropy", (), 3)


def batch(y, x=None):
    x = np.random.default_rng(0).normal(size=(len(y), 4)).astype(np.float32) if x is None else x
    return Batch(x, y, None, np.array([f"id-{number}" for number in range(len(y))]))


def model(activation):
    built = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation, bias_initializer="ones")])
    built.compile("adam", "categorical_crossentropy")
    return built


def told(attempt, y, activation="softmax"):
    return list(verdict(attempt, model(activation), batch(y), (SOFTMAX,)))


LABELS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]


@pytest.mark.parametrize(("last", "word"), [(0.01, "can"), (0.0101, "cannot")])
def test_a_hundredth_of_the_first_loss_is_enough(last, word):
    assert told(OverfitResult(50, 1.0, last), LABELS)[0].startswith(f"the model {word} memorise one batch of 4 samples")


def test_constant_labels_are_reported_on_success():
    assert told(OverfitResult(50, 1.0, 0.0), LABELS[[1, 1]])[1].startswith("all labels of the batch are the same")


def test_rising_loss_suggests_a_learning_rate():
    assert told(OverfitResult(50, 1.0, 2.0), LABELS)[1] == (
        "the loss did not fall: train.learning_rate (0.001) may be too high"
    )


def test_logits_output_layer_is_named():
    assert not any("last layer" in text for text in told(OverfitResult(50, 1.0, 0.3), LABELS))
    assert told(OverfitResult(50, 1.0, 0.3), LABELS, "linear")[-1].startswith("the last layer outputs values from -")
