"""Training that goes on from a state ends as if it had never stopped."""

import os
import shutil
import signal
from itertools import cycle

import pytest

from runner.errors import ConfigurationError, Terminated
from runner.records import state
from runner.records.digests import weights_digest
from runner.records.metrics import TIMING

from .conftest import LOADERS, Points

COST = ("wait", "cpu_seconds", "peak_memory_bytes")
"""Not what was done, but what it took."""

PLATEAU = {"reduce_lr_on_plateau": {"patience": 0, "factor": 0.5, "min_delta": 1.0}}
EARLY = {"early_stopping": {"patience": 1, "min_delta": 0.05, "restore_best_weights": True}}
SETTINGS = {
    "adam": (2, {"optimizer": {"name": "adam"}, "checkpoint_every": {"steps": 1}}),
    "averages": (4, {"optimizer": {"name": "sgd", "use_ema": True, "momentum": 0.5}}),
    "loss scaling": (4, {"optimizer": {"name": "adam"}, "precision": "mixed_float16", "monitor": "val_accuracy"}),
    "accumulation": (3, {"optimizer": {"name": "sgd", "gradient_accumulation_steps": 2}, "steps_per_epoch": 2}),
    "schedule": (3, {"learning_rate": {"name": "cosine_decay", "initial_learning_rate": 0.1}, "steps_per_epoch": 4}),
    "plateau": (4, {**PLATEAU, "epochs": 4}),
    "early stopping": (4, {**EARLY, "epochs": 9}),
}
"""After how many steps a training stops each time: at the first, another and the last step of an epoch."""


def digest(weights):
    return weights_digest((str(number), array) for number, array in enumerate(weights))


def untimed(rows):
    return [{name: value for name, value in row.items() if name not in TIMING} for row in rows]


def counted(result):
    """The results without times."""
    return {name: value for name, value in result.items() if name not in COST}


class Stop:
    """Asks to stop as the training hands over step `step`."""

    def __init__(self, step):
        self.step = step

    def __call__(self, step):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("every", "settings"), SETTINGS.values(), ids=SETTINGS)
def test_stops_again_and_again_change_nothing(train, every, settings):
    """One training, stopped and resumed again and again, each time by the next loader."""
    whole, kinds = train(validation=True, **settings), cycle(LOADERS)
    num_steps = whole.result["steps"]
    start, rows, folder = None, [], None
    for step in range(0, num_steps, every):
        keys = {"validation": True, "kind": next(kinds), "start": start, "folder": folder}
        part = train(on_step=Stop(step), ends=Terminated, **keys, **settings)
        folder, start = part.folder, state.read_state(part.folder)
        rows += part.rows
        # A step that is begun is ended; a validation is not, and is all that is done again.
        assert step <= start.step <= step + 1
        assert len(rows) == start.done_epochs(num_steps // whole.result["epochs"])
    own = settings.get("optimizer") == {"name": "adam"}
    last = train(validation=True, kind=next(kinds), start=start, folder=folder, own_model=own, **settings)
    assert counted(last.result) == counted(whole.result)
    assert untimed([*rows, *last.rows]) == untimed(whole.rows)
    assert digest(last.weights) == digest(whole.weights)


def test_balanced_training_resumes_in_an_epoch(train):
    source = Points()
    source.balanced = True
    whole = train(source)
    part = train(source, kind="in_memory", on_step=Stop(4), ends=Terminated)
    last = train(source, kind="generator", start=state.read_state(part.folder), folder=part.folder)
    assert counted(last.result) == counted(whole.result)
    assert digest(last.weights) == digest(whole.weights) != digest(train().weights)
    assert whole.result["samples_seen"] == 30


@pytest.mark.parametrize("every", [{"epochs": 1}, {"seconds": 1e-9}, {"steps": 2}])
def test_training_resumes_from_every_state(train, tmp_path, every, monkeypatch):
    monkeypatch.setattr(state, "KEPT", 99)
    settings = {"checkpoint_every": every, "epochs": 2, **PLATEAU}
    whole = train(validation=True, **settings)
    steps = [int(file.stem.partition("-")[2]) for file in sorted(whole.folder.glob("state-*.npz"))]
    assert steps == {"epochs": [3, 6], "seconds": [*range(1, 7)], "steps": [2, 4, 6]}[next(iter(every))]
    for number, step in enumerate(steps):
        folder = tmp_path / f"from-{number}"
        folder.mkdir()
        shutil.copy(whole.folder / f"state-{step:012d}.npz", folder)
        again = train(validation=True, start=state.read_state(folder), folder=folder, **settings)
        assert counted(again.result) == counted(whole.result)
        assert untimed(again.rows) == untimed(whole.rows[step // 3 :])
        assert digest(again.weights) == digest(whole.weights)


def test_stop_in_validation_keeps_the_training(train):
    steps = []
    stopped = train(validation=True, on_step=Stop(2), ends=Terminated)  # the last step of the first epoch
    start = state.read_state(stopped.folder)
    assert (start.step, start.awaits_validation, stopped.rows) == (3, True, [])
    again = train(validation=True, start=start, folder=stopped.folder, on_step=steps.append)
    assert steps == [3, 4, 5, 6, 7, 8]
    assert [row["images_per_second"] is None for row in again.rows] == [True, False, False]
    assert untimed(again.rows) == untimed(train(validation=True).rows)


def test_stop_in_last_validation_ends_the_run(train):
    stopped = train(validation=True, on_step=Stop(8), ends=Terminated)
    last = train(validation=True, start=state.read_state(stopped.folder), folder=stopped.folder)
    assert last.result["digests"] == train(validation=True).result["digests"]


def test_state_of_another_model_is_refused(train):
    trained = train(epochs=1)
    start = state.read_state(trained.folder)
    start.arrays["model/0"] = start.arrays["model/0"][:2]
    with pytest.raises(ConfigurationError, match=r"the same model and optimizer: 1 of \d+ variables have other shapes"):
        train(start=start, folder=trained.folder, epochs=2)


@pytest.mark.parametrize(("stops_at", "seen", "done"), [(5, 3, 0), (4, 2, 2)])
def test_epochs_of_other_length_count_on(train, stops_at, seen, done):
    settings = {"epochs": 5, "steps_per_epoch": 2}
    stopped = train(on_step=Stop(stops_at), ends=Terminated, checkpoint_every={"steps": 1}, **settings)
    before, steps = state.read_state(stopped.folder), []
    start = before.moved_to(4)
    state.keep_states(stopped.folder, start)
    assert (len(stopped.rows), start.done_epochs(4)) == (seen, seen)
    again = train(start=start, folder=stopped.folder, on_step=steps.append, **{**settings, "steps_per_epoch": 4})
    assert len(stopped.rows) + len(again.rows) == again.result["epochs"] == 5
    assert steps == list(range(4 * seen + done, 20))
    assert again.result["steps"] == before.step + len(steps)
    assert state.read_state(stopped.folder).step == 20
