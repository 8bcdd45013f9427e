"""One list of callbacks under many calls of fit."""

import keras
import numpy as np
import pytest

from runner.callbacks.callback_list import RunCallbacks
from runner.callbacks.epoch_timer import EpochClock, shortest
from runner.callbacks.monitored import Checkpoint
from runner.loaders.timing import Clock

X, Y = np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32)


@pytest.fixture(scope="module")
def traced_once():
    """A model and how its variables begin: to trace its functions takes longer than to train."""
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    made.compile("sgd", "mse")
    return made, [(variable, np.array(variable)) for variable in [*made.variables, *made.optimizer.variables]]


@pytest.fixture
def model(traced_once):
    made, begins = traced_once
    for variable, value in begins:
        variable.assign(value)
    made.stop_training = False
    return made


def fit_each_epoch(model, callbacks, epochs):
    run = RunCallbacks(callbacks, model, epochs=epochs)
    done = 0
    for epoch in range(epochs):
        model.fit(X, Y, initial_epoch=epoch, epochs=epoch + 1, callbacks=run, verbose=0, validation_data=(X, Y))
        done += 1
        if model.stop_training:
            break
    run.finish()
    return done


class Hooks(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(epoch)

    def on_train_end(self, logs=None):
        self.seen.append("end")


def test_run_callbacks_begin_and_end_once(model):
    hooks = Hooks()
    fit_each_epoch(model, [hooks], 3)
    assert hooks.seen == ["begin", 0, 1, 2, "end"]


def test_run_callbacks_keep_one_history(model):
    fit_each_epoch(model, [], 3)
    assert model.history.epoch == [0, 1, 2]


def test_early_stopping_counts_across_fits(model):
    # Zero targets of zero inputs: the loss never improves.
    assert fit_each_epoch(model, [keras.callbacks.EarlyStopping("val_loss", patience=2)], 10) == 3


def test_early_stopping_restores_best_weights(model):
    class Worsen(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[-1].bias.assign([float(epoch)])

    model.optimizer.learning_rate = 0.0
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    fit_each_epoch(model, [Worsen(), stopping], 10)
    assert float(model.layers[-1].bias[0]) == 0.0


def test_checkpoint_leaves_one_whole_file(model, tmp_path):
    fit_each_epoch(model, [Checkpoint(tmp_path / "last.keras")], 2)
    assert [file.name for file in tmp_path.iterdir()] == ["last.keras"]
    assert keras.saving.load_model(tmp_path / "last.keras").count_params() == 3


def test_best_checkpoint_survives_a_worse_epoch(model, tmp_path):
    class Bias(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[-1].bias.assign([[3.0], [1.0], [2.0]][epoch])

    model.optimizer.learning_rate = 0.0
    best = Checkpoint(tmp_path / "best.keras", monitor="val_loss")
    fit_each_epoch(model, [Bias(), best], 3)
    assert float(keras.saving.load_model(tmp_path / "best.keras").layers[-1].bias[0]) == 1.0


def test_epoch_clock_reports_once_per_epoch(model):
    results = []
    fit_each_epoch(model, [EpochClock(Clock(), results.append)], 2)
    assert [result.epoch for result in results] == [0, 1]
    assert set(results[0].logs) == {"loss", "val_loss"}
    assert 0 < results[0].training_seconds < results[0].seconds
    assert results[0].learning_rate == 0.01


def test_shortest_reads_back_as_the_same_float32():
    assert shortest(np.float32(0.001)) == 0.001


def test_running_values_are_of_the_step_before(model):
    run, seen = RunCallbacks([], model, epochs=1), []
    run.on_epoch_begin(0)
    for batch in range(3):
        run.on_train_batch_end(batch, {"loss": np.float32(batch), "f1": np.array([0.5, batch])})
        seen.append(run.running_values())
    assert seen == [{}, {"loss": 0, "f1_0": 0.5, "f1_1": 0}, {"loss": 1, "f1_0": 0.5, "f1_1": 1}]
    run.on_epoch_begin(1)
    assert run.running_values() == {}
