"""Models of the user's own that no later process could load are refused before training."""

import random
import sys

import keras
import numpy as np
import pytest

from runner.errors import ConfigurationError
from runner.models.savable import REGISTER, refuse_unsavable

MINE = """
import keras
from keras import layers

class Mine(layers.Layer):
    def call(self, x): return x

@keras.saving.register_keras_serializable("mine_s")
class Known(Mine):
    pass

class MyLoss(keras.losses.Loss):
    def call(self, a, b): return keras.ops.mean((a - b) ** 2)

class Slow(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step): return 0.1
    def get_config(self): return {}

class Sub(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.out = layers.Dense(units)
    def call(self, x): return self.out(x)

def model(layer=None, loss="mse", optimizer="sgd"):
    inputs = keras.Input((2,))
    made = keras.Model(inputs, layers.Dense(1)(inputs if layer is None else layer(inputs)))
    made.compile(optimizer, loss)
    return made

def sub():
    made = Sub(1)
    made.compile("sgd", "mse")
    made(keras.ops.zeros((1, 2)))
    return made

def local():
    @keras.saving.register_keras_serializable("mine_s")
    class Local(Mine):
        pass
    return model(Local())

def squares(a, b): return keras.ops.mean((a - b) ** 2)
"""

UNSAVABLE = {
    "layer": (lambda mine: mine.model(mine.Mine()), "the class Mine, which Keras does not find"),
    "loss": (lambda mine: mine.model(loss=mine.MyLoss()), "the class MyLoss, which Keras does not find"),
    "function": (lambda mine: mine.model(loss=mine.squares), "above `def squares`, at the top level of mine_s"),
    "schedule": (lambda mine: mine.model(optimizer=keras.optimizers.SGD(mine.Slow())), "the class Slow, which Keras"),
    "lambda": (lambda mine: mine.model(keras.layers.Lambda(lambda x: x)), "a lambda, which no file can hold"),
    "no config": (lambda mine: mine.sub(), r"the class Sub, .* give it a method get_config\(\)"),
    "local": (lambda mine: mine.local(), "the class Local, which Keras does not find"),
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_s.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    registered, before = keras.saving.get_custom_objects(), dict(keras.saving.get_custom_objects())
    import mine_s

    yield mine_s
    sys.modules.pop("mine_s", None)
    registered.clear()
    registered.update(before)


@pytest.mark.parametrize(("make", "message"), UNSAVABLE.values(), ids=UNSAVABLE)
def test_model_that_cannot_be_loaded_is_refused(mine, make, message):
    with pytest.raises(ConfigurationError, match=message) as error:
        refuse_unsavable(make(mine), "model.target=mine_s.f", "mine_s")
    assert REGISTER in str(error.value)


def test_trial_changes_nothing(mine):
    model, states = mine.model(mine.Known()), (random.getstate(), np.random.get_state()[1].tolist())
    registered = dict(keras.saving.get_custom_objects())
    refuse_unsavable(model, "model.target=mine_s.f", "mine_s")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert keras.saving.get_custom_objects() == registered
