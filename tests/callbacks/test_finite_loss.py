"""FiniteLoss: the step and the samples after which a loss is no number."""

import math

import numpy as np
import pytest

from runner.callbacks.terminate_on_nan import FiniteLoss
from runner.errors import TrainingError


class Delivered:
    """Stands for a delivery over two steps a pass that has handed step 7 over."""

    loader = range(2)

    def __init__(self, num_ids):
        self._ids = tuple(f"s{number}" for number in range(num_ids))

    def step_of(self, number):
        return 6 + number

    def ids(self, step):
        assert step == 7
        return self._ids


def message(callback, steps, num_ids=3):
    with pytest.raises(TrainingError) as caught, callback.naming_batch(Delivered(num_ids)):
        for step, loss in steps:
            callback.on_train_batch_end(step, {"loss": loss})
    return str(caught.value)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_nan_loss_reports_global_step_and_samples(loss):
    told = message(FiniteLoss(), [(0, 1.0), (1, loss)])
    assert told.startswith(
        f"the loss became {loss} at step 7 (step 1 of pass 3 over the data), on the samples s0, s1, s2;"
    )


def test_first_nan_step_is_named():
    callback = FiniteLoss()
    with pytest.raises(TrainingError, match="at step 2 of this epoch"):
        callback.on_train_batch_end(2, {"loss": math.nan})
    assert "at step 7 " in message(callback, [(1, math.nan)])


def test_many_samples_are_counted():
    assert "s8, s9 and 22 more; " in message(FiniteLoss(), [(1, math.nan)], num_ids=32)


def test_steps_without_a_loss_are_let_be():
    FiniteLoss().on_train_batch_end(0, None)


def test_errors_of_others_pass_as_they_are():
    with pytest.raises(TrainingError, match=r"^another$"), FiniteLoss().naming_batch(Delivered(1)):
        raise TrainingError("another")
