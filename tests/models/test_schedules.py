"""Learning-rate schedules: their arguments are Keras's own."""

import inspect
from typing import get_args

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from runner.models.schedules import AnyLearningRate, AnySchedule, OwnSchedule

SCHEDULES = keras.optimizers.schedules
KINDS = [kind for kind in get_args(get_args(AnySchedule)[0]) if kind is not OwnSchedule]
RATE = TypeAdapter(AnyLearningRate)
REQUIRED = {
    "initial_learning_rate": 0.1,
    "first_decay_steps": 10,
    "decay_rate": 0.5,
    "boundaries": [5],
    "values": [0.1, 0.01],
}


def smallest(kind):
    """A schedule of this kind with only what it cannot do without."""
    needed = {name: value for name, value in REQUIRED.items() if name in kind.model_fields}
    return RATE.validate_python({"name": kind.model_fields["name"].default, **needed})


def rates(schedule, num_steps, steps):
    built = schedule.build(num_steps)
    return [float(built(step)) for step in steps]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_schedule_matches_keras_signature(kind):
    parameters = inspect.signature(getattr(SCHEDULES, kind.__name__)).parameters
    expected = {name: parameter.default for name, parameter in parameters.items() if name != "name"}
    expected |= {name: value for name, value in REQUIRED.items() if name in expected}
    given = {**smallest(kind).keras_arguments(100)}
    if "decay_steps" in expected:
        expected["decay_steps"] = 100
    assert given == expected


def test_every_schedule_of_keras_is_there():
    found = {name for name, item in vars(SCHEDULES).items() if inspect.isclass(item)}
    assert {kind.__name__ for kind in KINDS} == found - {"LearningRateSchedule"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_schedule_trains_and_falls(kind):
    schedule = smallest(kind)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule.build(9)), "mse")
    model.fit(np.ones((9, 1)), np.ones((9, 1)), batch_size=1, verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(rates(schedule, 9, [9])[0])
    assert float(model.optimizer.learning_rate) < 0.1


def test_cosine_decay_ends_with_the_run():
    given = {"name": "cosine_decay", "initial_learning_rate": 0.0, "warmup_target": 0.4, "warmup_steps": 20}
    assert rates(RATE.validate_python(given), 100, [0, 10, 20, 60, 100]) == pytest.approx(
        [0, 0.2, 0.4, 0.2, 0], abs=1e-6
    )


def test_steps_that_are_given_stay():
    given = {"name": "polynomial_decay", "initial_learning_rate": 1.0, "end_learning_rate": 0, "decay_steps": 10}
    assert rates(RATE.validate_python(given), 100, [5, 10, 50]) == pytest.approx([0.5, 0, 0])


def test_number_is_a_constant_rate():
    assert RATE.validate_json("0.01", strict=True) == 0.01


@pytest.mark.parametrize(
    ("given", "where", "message"),
    [
        (0, ("constant",), "greater than 0"),
        ("fast", ("constant",), "valid number"),
        ({"name": "cosine"}, ("schedule",), "'cosine' found using 'name' does not match .* 'cosine_decay'"),
        (
            {"name": "inverse_time_decay", "initial_learning_rate": 1, "decay_rate": 1, "alpha": 1},
            ("schedule", "inverse_time_decay", "alpha"),
            "Extra inputs are not permitted",
        ),
        (
            {"name": "cosine_decay", "initial_learning_rate": 1, "warmup_steps": 5},
            ("schedule", "cosine_decay"),
            "warmup_target and warmup_steps must be given together, got warmup_target=None and warmup_steps=5",
        ),
        (
            {"name": "piecewise_constant_decay", "boundaries": [5, 5], "values": [1, 1, 1]},
            ("schedule", "piecewise_constant_decay"),
            r"boundaries must rise, got \[5, 5\]",
        ),
        (
            {"name": "piecewise_constant_decay", "boundaries": [5], "values": [1]},
            ("schedule", "piecewise_constant_decay"),
            "values must be one more than boundaries, got 1 values and 1 boundaries",
        ),
    ],
)
def test_wrong_rates_are_refused(given, where, message):
    with pytest.raises(ValidationError, match=message) as caught:
        RATE.validate_python(given)
    assert [error["loc"] for error in caught.value.errors()] == [where]
