"""Training that goes on from a state ends as if it had never stopped."""

import os
import signal

import pytest

from runner.errors import Terminated
from runner.records.digests import weights_digest
from runner.records.state import read_state

from .conftest import LOADERS

SETTINGS = {
    "adam": {"checkpoint_every": {"steps": 1}},
    "averages": {"optimizer": {"name": "sgd", "use_ema": True, "momentum": 0.5}},
    "loss scaling": {"optimizer": {"name": "adam"}, "precision": "mixed_float16"},
    "accumulation": {"optimizer": {"name": "sgd", "gradient_accumulation_steps": 2}},
    "schedule": {"learning_rate": {"name": "cosine_decay", "initial_learning_rate": 0.1}},
    "plateau": {"reduce_lr_on_plateau": {"patience": 0, "factor": 0.5, "min_delta": 1.0}, "epochs": 6},
    "early stopping": {"early_stopping": {"patience": 1, "min_delta": 0.05, "restore_best_weights": True}, "epochs": 9},
    "longer epochs": {"steps_per_epoch": 4},
    "shorter epochs": {"steps_per_epoch": 2},
}
TIMING = ("seconds", "images_per_second")


def digest(model):
    return weights_digest((str(number), array) for number, array in enumerate(model.get_weights()))


def untimed(rows):
    return [{name: value for name, value in row.items() if name not in TIMING} for row in rows]


class Stop:
    """Asks to stop as the training hands over step `step`."""

    def __init__(self, step):
        self.step = step

    def __call__(self, step):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_stopped_at_any_step_it_ends_as_if_never_stopped(train, settings):
    whole = train(validation=True, **settings)
    for step in range(0, whole.result["steps"], 2):
        first = train(validation=True, on_step=Stop(step), ends=Terminated, **settings)
        kind, state = list(LOADERS)[step % len(LOADERS)], read_state(first.folder)
        second = train(validation=True, kind=kind, start=state, folder=first.folder, **settings)
        assert second.result == whole.result
        epochs = state.step * whole.result["epochs"] // whole.result["steps"] if state else 0
        assert untimed([*first.rows[:epochs], *second.rows]) == untimed(whole.rows)
        assert digest(second.model) == digest(whole.model)
