"""Optimizers: their arguments are Keras's own, checked before Keras is imported."""

import inspect
from typing import get_args

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from runner.models.optimizers import SGD, Adam, AnyOptimizer, OwnOptimizer

KINDS = [kind for kind in get_args(get_args(AnyOptimizer)[0]) if kind is not OwnOptimizer]
OPTIMIZER = TypeAdapter(AnyOptimizer)
# The rate is a key of its own, Keras's name is ours, and mixed_float16 scales the loss by itself.
ELSEWHERE = {"learning_rate", "name", "loss_scale_factor", "kwargs"}


def parse(**given):
    return OPTIMIZER.validate_python(given)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_optimizer_matches_keras_signature(kind):
    parameters = inspect.signature(getattr(keras.optimizers, kind.__name__)).parameters
    expected = {name: parameter.default for name, parameter in parameters.items() if name not in ELSEWHERE}
    assert kind().model_dump(exclude={"name"}) == expected


def test_every_optimizer_of_keras_is_there():
    # A model trained without a schedule must be told when it is evaluated; the others hold optimizers of their own.
    others = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "ScheduleFreeAdamW"}
    found = {
        name
        for name, item in vars(keras.optimizers).items()
        if inspect.isclass(item) and issubclass(item, keras.Optimizer)
    }
    assert {kind.__name__ for kind in KINDS} == found - others


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_name_is_that_of_keras_in_lower_case(kind):
    assert kind().name == kind.__name__.lower()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_optimizer_trains(kind):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    before = model.get_weights()
    model.compile(kind(weight_decay=0.01, clipnorm=1.0, use_ema=True).build(0.05), "mse", run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    for _ in range(2):
        model.train_on_batch(x, x[:, :1])
    after = model.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    assert any((a != b).any() for a, b in zip(after, before, strict=True))


def test_arguments_reach_keras():
    made = SGD(momentum=0.5, nesterov=True, clipvalue=0.25, gradient_accumulation_steps=4).build(0.1)
    config = made.get_config()
    assert (config["momentum"], config["nesterov"], config["clipvalue"]) == (0.5, True, 0.25)
    assert (config["gradient_accumulation_steps"], config["learning_rate"]) == (4, pytest.approx(0.1))


def test_optimizer_without_a_name_is_adam():
    assert parse(weight_decay=0.1) == Adam(weight_decay=0.1)


@pytest.mark.parametrize(
    ("given", "where", "message"),
    [
        ({"name": "sgd", "beta_1": 0.9}, ("sgd", "beta_1"), "Extra inputs are not permitted"),
        ({"name": "adm"}, (), "Input tag 'adm' found using 'name' does not match"),
        ({"beta_1": 1.0}, ("adam", "beta_1"), "less than 1"),
        ({"gradient_accumulation_steps": 1}, ("adam", "gradient_accumulation_steps"), "greater than or equal to 2"),
        ({"clipnorm": 1, "clipvalue": 1}, ("adam",), "clipnorm must be the only one of clipnorm, .*, got clipvalue"),
    ],
)
def test_wrong_arguments_are_refused_early(given, where, message):
    with pytest.raises(ValidationError, match=message) as caught:
        parse(**given)
    assert [error["loc"] for error in caught.value.errors()] == [where]
