"""Phases of a training: each trains its layers, the optimizer goes on, and a state from any of them is exact."""

import logging
import shutil

import keras
import numpy as np
import pytest

from runner.models.base import Task, output_of
from runner.models.compile import compile_model
from runner.models.layers import model_of, scaled_input
from runner.records import state
from runner.records.digests import weights_digest
from runner.records.metrics import TIMING
from runner.training.loop import fit
from runner.training.phases import PhasePlace, Phases
from runner.training.settings import Train
from runner.training.setup import Training, TrainingObserver

from .conftest import Points, load

FROZEN = {"epochs": 1, "trainable": False}
WATCHED = {"patience": 0, "min_delta": 9.0, "restore_best_weights": True}
SCHEDULE = {"name": "cosine_decay", "initial_learning_rate": 0.05}
PHASES = [
    {**FROZEN, "epochs": 3, "early_stopping": WATCHED},
    {"epochs": 2, "trainable": 2, "learning_rate": SCHEDULE, "class_weight": {"right": 2.0}},
    {"epochs": 1, "freeze_batch_norm": True, "optimizer": {"name": "sgd"}},
]
"""The first one stops early, after two epochs; so the second begins at step 6, and the third at step 12."""


def network():
    """Two dense layers with a normalisation between them, dropout, and an output of two classes; not compiled."""
    keras.utils.set_random_seed(0)
    source = Points()
    task = Task(source.spec, "none", tuple(output_of(head, source.spec.shape) for head in source.labels.heads))
    inputs, x = scaled_input(task.spec, task.scaling)
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(3, name="first")(x))
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(3, name="second")(x))
    return task, model_of(inputs, x, task)


class Phased(TrainingObserver):
    """A training in phases, from a state if there is one: its model, the rows, and what it returned."""

    def __init__(self, folder, phases, start=None, **settings):
        settings = Train.model_validate({"phases": phases, "learning_rate": 0.1, **settings})
        task, self.model = network()
        self.rows, self.begun, self.optimizers = [], [], []

        def compile_for(model, make, number):
            compile_model(model, task, optimizer=make(), jit_compile=False)

        self.phases = Phases(settings, 3, PhasePlace.of(start), compile_for)
        self.phases.begin(self.model)
        with load(Points()) as loader, load(Points(), shuffle=False) as held_out:
            training = Training(self.model, loader, held_out, settings, phases=self.phases)
            self.result = fit(training, checkpoints=folder, observer=self, start=start)

    def on_epoch(self, epoch, row):
        self.rows.append(row)

    def on_phase(self, phases):
        self.begun.append(phases.describe())
        self.optimizers.append({variable.path.partition("/")[2]: np.array(variable)
                                for variable in self.model.optimizer.variables})  # fmt: skip

    @property
    def digest(self):
        return weights_digest((str(number), array) for number, array in enumerate(self.model.get_weights()))


def untimed(rows):
    return [{name: value for name, value in row.items() if name not in TIMING} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The training of all phases, and the states after each step."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(state, "KEPT", 99)
        trained = Phased(folder, PHASES, checkpoint_every={"steps": 1})
    trained.folder = folder
    return trained


@pytest.mark.parametrize("step", [6, 10])
def test_states_of_phases_resume_exactly(whole, tmp_path, step):
    """From between two phases, of which the first stopped early, and from within an epoch of the second."""
    shutil.copy(whole.folder / f"state-{step:012d}.npz", tmp_path)
    start = state.read_state(tmp_path)
    again = Phased(tmp_path, PHASES, start, checkpoint_every={"steps": 1})
    assert start.document["counts"]["phase"]["number"] == {6: 1, 10: 2}[step]
    assert again.digest == whole.digest
    assert untimed(again.rows) == untimed(whole.rows)[step // 3 :]
    assert again.begun == whole.begun[1:]  # a phase that is over is not reported again
    digests = [each.result["digests"] for each in (again, whole)]
    assert digests[0] == digests[1]


def test_phases_are_named_and_described(whole):
    assert [row["phase"] for row in whole.rows] == [1, 1, 2, 2, 3]
    assert whole.begun == [
        "1 of 3: 3 epochs, trains 1 of 4 layers, 8 of 44 weights, adam at 0.1",
        "2 of 3: 2 epochs, trains 2 of 4 layers, 20 of 44 weights, adam at cosine_decay",
        "3 of 3: 1 epoch, trains 3 of 4 layers, 32 of 44 weights, sgd at 0.1",
    ]


def test_traces_of_a_new_phase_are_no_warning(whole):
    logger, text = logging.getLogger("tensorflow"), "5 out of the last 9 calls to <f> triggered tf.function retracing."
    passes = [bool(logger.filter(logging.makeLogRecord({"msg": each}))) for each in (text, "another warning")]
    assert passes == [False, True]


def test_early_stopping_ends_its_phase_only(whole):
    assert whole.result["epochs"] == 5
    assert whole.result["stopped_early"]


def test_schedule_counts_from_first_step(whole):
    rates = [row["learning_rate"] for row in whole.rows]
    assert rates == [0.1, 0.1, pytest.approx(0.025), pytest.approx(0, abs=1e-9), 0.1]


def test_frozen_layers_stay_as_they_were(whole):
    """The first layer and the normalisation are frozen in two phases; then the layer alone is trained."""
    built, trained = network()[1], whole.model
    for array, before in zip(
        trained.get_layer("norm").get_weights(), built.get_layer("norm").get_weights(), strict=True
    ):
        assert np.array_equal(array, before)
    assert not np.array_equal(trained.get_layer("first").kernel, built.get_layer("first").kernel)


def test_optimizer_goes_on_in_next_phase(whole):
    first, second, third = whole.optimizers
    assert (first["iteration"], second["iteration"], third["iteration"]) == (0, 6, 0)  # another kind begins again
    kept = [name for name in second if "left_right" in name or name.startswith("label")]
    slots = [name for name in second if name.endswith("_momentum")]
    assert slots
    assert [bool(second[name].any()) for name in slots] == [not name.startswith("second") for name in slots], kept
