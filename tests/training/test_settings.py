"""The `train` group."""

import inspect

import keras
import pytest
from pydantic import ValidationError

from runner.training.settings import EarlyStoppingSettings, ReduceLROnPlateauSettings, Train

DECAY = {"name": "exponential_decay", "initial_learning_rate": 0.1, "decay_rate": 0.5}


@pytest.mark.parametrize("kind", [EarlyStoppingSettings, ReduceLROnPlateauSettings])
def test_callback_settings_are_arguments_of_keras(kind):
    assert set(kind.model_fields) <= set(
        inspect.signature(getattr(keras.callbacks, kind.__name__.removesuffix("Settings"))).parameters
    )


def test_plateau_with_a_schedule_is_refused():
    with pytest.raises(
        ValidationError, match="reduce_lr_on_plateau must be null with a learning-rate schedule, got both"
    ):
        Train(learning_rate=DECAY, reduce_lr_on_plateau={})


@pytest.mark.parametrize(("rate", "told"), [(0.001, "0.001"), (DECAY, "exponential_decay")])
def test_rate_is_described_in_a_word(rate, told):
    assert Train(learning_rate=rate).describe_rate() == told


def test_schedule_defaults_to_the_runs_steps():
    optimizer = Train(learning_rate=DECAY, optimizer={"name": "sgd"}).build_optimizer(40)
    optimizer.iterations.assign(40)
    assert float(optimizer.learning_rate) == pytest.approx(0.05)


@pytest.mark.parametrize("given", ["balanced", {"cat": 2.0, "dog": 0}, None])
def test_class_weights_are_a_word_or_a_mapping(given):
    assert Train(class_weight=given).class_weight == given


@pytest.mark.parametrize("given", ["even", {"cat": -1.0}])
def test_class_weights_that_cannot_be_are_refused(given):
    with pytest.raises(ValidationError, match="class_weight"):
        Train(class_weight=given)


def test_settings_read_back_from_their_document():
    settings = Train(learning_rate=DECAY, optimizer={"name": "adamw"}, class_weight={"3": 2.0}, jit_compile=False)
    assert Train.model_validate(settings.document()) == settings
