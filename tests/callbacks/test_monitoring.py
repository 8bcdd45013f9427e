"""Callbacks that watch a value not every epoch has: no warning, no count."""

import keras
import numpy as np
import pytest

from runner.callbacks.monitored import Checkpoint, EarlyStopping, ReduceLROnPlateau
from runner.errors import RunnerError

WITH, WITHOUT = {"loss": 1.0, "val_loss": 1.0}, {"loss": 1.0}


@pytest.fixture
def model():
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.1), "mse")
    return made


def begun(callback, model):
    callback.set_model(model)
    callback.on_train_begin()
    return callback


def test_early_stopping_counts_monitored_epochs(model):
    stopping = begun(EarlyStopping("val_loss", patience=2), model)
    stopped = []
    for epoch, logs in enumerate([WITH, WITHOUT, WITHOUT, WITH, WITHOUT, WITH]):
        stopping.on_epoch_end(epoch, logs)
        stopped.append(bool(model.stop_training))
    assert stopped == [False] * 5 + [True]


def test_plateau_counts_epochs_with_a_value(model):
    plateau = begun(ReduceLROnPlateau("val_loss", patience=1, factor=0.5), model)
    rates = []
    for epoch, logs in enumerate([WITH, WITHOUT, WITHOUT, WITH]):
        plateau.on_epoch_end(epoch, dict(logs))
        rates.append(float(model.optimizer.learning_rate))
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05])


def test_checkpoints_skip_epochs_without_monitor(model, tmp_path):
    best = begun(Checkpoint(tmp_path / "best.keras", monitor="val_loss"), model)
    last = begun(Checkpoint(tmp_path / "last.keras"), model)
    for callback in (best, last):
        callback.on_epoch_end(0, WITHOUT)
    assert [file.name for file in tmp_path.iterdir()] == ["last.keras"]
    best.on_epoch_end(1, WITH)
    assert (tmp_path / "best.keras").exists()


def test_best_is_a_copy_of_what_was_just_saved(model, tmp_path):
    last = begun(Checkpoint(tmp_path / "last.keras"), model)
    best = begun(Checkpoint(tmp_path / "best.keras", monitor="val_loss", copied=tmp_path / "last.keras"), model)
    for epoch, (value, is_best) in enumerate([(1.0, True), (2.0, False), (0.5, True), (0.5, False)]):
        model.set_weights([np.full((2, 1), epoch), np.zeros(1)])
        for callback in (last, best):
            callback.on_epoch_end(epoch, {"val_loss": value})
        files = {(tmp_path / f"{name}.keras").read_bytes() for name in ("last", "best")}
        assert (len(files) == 1) == is_best
    assert best.best == 0.5


def test_full_disk_is_an_error_that_names_the_file(model, tmp_path):
    last = begun(Checkpoint(tmp_path / "last.keras"), model)
    last.on_epoch_end(0, WITH)
    before = (tmp_path / "last.keras").read_bytes()
    (tmp_path / ".writing-last.keras").symlink_to("/dev/full")
    with pytest.raises(RunnerError, match=r"^cannot write .*/last\.keras: No space left on device$"):
        last.on_epoch_end(1, WITH)
    assert (tmp_path / "last.keras").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.keras"]
