"""Training by one call of fit per epoch."""

import gc
import sys
import time

import keras
import numpy as np
import pytest

from runner.errors import ConfigurationError, TrainingError
from runner.machine import peak_memory_bytes
from runner.records.state import read_state

from .conftest import LOADERS, Points, load

SCHEDULE = {"name": "exponential_decay", "initial_learning_rate": 0.1, "decay_rate": 0.5, "decay_steps": 3}


AVERAGED = {"name": "sgd", "use_ema": True, "ema_momentum": 0.8}
LATE = {"name": "piecewise_constant_decay", "boundaries": [3], "values": [0.1, 1e38]}
LATE_NAN = {"optimizer": {"name": "adam"}, "learning_rate": LATE}


def same_weights(weights, others):
    return all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))


@pytest.mark.parametrize("kind", LOADERS)
def test_training_by_epochs_equals_one_fit(train, reference, kind):
    assert same_weights(train(kind=kind).weights, reference())


def test_averaged_weights_equal_one_fit(train, reference, tmp_path):
    trained = train(optimizer=AVERAGED)
    assert same_weights(trained.weights, reference(optimizer=AVERAGED))
    assert not same_weights(trained.weights, reference())
    assert trained.model.optimizer.use_ema
    assert keras.saving.load_model(tmp_path / "0" / "last.keras").optimizer.use_ema


def test_averaged_scaled_weights_equal_one_fit(train, reference):
    settings = {"optimizer": AVERAGED, "precision": "mixed_float16"}
    assert same_weights(train(**settings).weights, reference(**settings))


def test_overwriting_averages_equal_one_fit(train, reference):
    settings = {"optimizer": {**AVERAGED, "ema_overwrite_frequency": 2}}
    assert same_weights(train(**settings).weights, reference(**settings))


def test_best_weights_win_over_averages(train):
    settings = {"early_stopping": {"patience": 9, "restore_best_weights": True}, "monitor": "val_loss"}
    trained = train(optimizer=AVERAGED, validation=True, **settings)
    with load(Points(), shuffle=False) as loader:
        batches = list(loader.epoch(0))
    x, y = (np.concatenate([getattr(batch, name) for batch in batches]) for name in "xy")
    loss = trained.model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(min(trained.column("val_loss")), rel=1e-5)


def test_gradients_accumulate_across_fits(train, reference):
    # Updates after steps 2, 4, 6, 8 of 9: two of them join the gradients of two epochs.
    settings = {"optimizer": {"name": "sgd", "gradient_accumulation_steps": 2}}
    assert same_weights(train(**settings).weights, reference(**settings))


def test_schedule_continues_across_fits(train, reference):
    trained = train(learning_rate=SCHEDULE)
    assert trained.column("learning_rate") == pytest.approx([0.05, 0.025, 0.0125])
    assert same_weights(trained.weights, reference(learning_rate=SCHEDULE))


def test_learning_rate_is_lowered_on_a_plateau(train):
    # No change is as large as min_delta: the first epoch is the best, each later one lowers the rate for the next.
    trained = train(epochs=4, reduce_lr_on_plateau={"patience": 1, "factor": 0.5, "min_delta": 100, "min_lr": 0.04})
    assert trained.column("learning_rate") == pytest.approx([0.1, 0.1, 0.05, 0.04])


def test_learning_rate_is_logged_before_plateau(train):
    plain, lowered = train(epochs=1), train(epochs=1, reduce_lr_on_plateau={})
    assert list(plain.rows[0]) == list(lowered.rows[0])


def test_validation_runs_at_its_frequency(train):
    trained = train(epochs=5, validation=True, validation_every=2)
    assert [value is not None for value in trained.column("val_loss")] == [False, True, False, True, True]
    assert list(trained.rows[0]) == list(trained.rows[1])
    assert list(trained.rows[0])[:4] == ["loss", "accuracy", "val_loss", "val_accuracy"]


def test_rows_without_validation_lack_its_columns(train):
    assert "val_loss" not in train(epochs=1).rows[0]


def test_early_stopping_counts_validated_epochs(train):
    trained = train(
        epochs=9,
        validation=True,
        validation_every=2,
        learning_rate=1e-30,
        early_stopping={"patience": 2, "min_delta": 1},
    )
    assert trained.result["epochs"] == 6
    assert trained.result["stopped_early"]


def test_checkpoint_and_plateau_skip_epochs(train, tmp_path):
    train(epochs=3, validation=True, validation_every=2, reduce_lr_on_plateau={"patience": 0})
    assert {file.name for file in (tmp_path / "0").iterdir()} == {"best.keras", "last.keras", "state-000000000009.npz"}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_model_outputs_float32(train, policy):
    model = train(precision=policy, optimizer=AVERAGED, epochs=1).model
    assert model.layers[-2].compute_dtype == policy.removeprefix("mixed_")
    assert model.layers[-1].compute_dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.predict(np.zeros((1, 3), np.float32), verbose=0).dtype == np.float32
    assert keras.config.dtype_policy().name == "float32"
    assert hasattr(model.optimizer, "dynamic_scale") == (policy == "mixed_float16")


@pytest.fixture
def determinism():
    """Turns TensorFlow's determinism on and off; other tests of this process may have turned it on."""
    if keras.backend.backend() != "tensorflow":
        yield lambda on: None
        return
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    switch = {True: config.enable_op_determinism, False: config.disable_op_determinism}
    yield lambda on: switch[on]()
    switch[before]()


@pytest.mark.parametrize("compiled", [True, False])
def test_training_step_follows_jit_compile(train, determinism, compiled):
    determinism(False)
    trained = train(jit_compile=compiled, epochs=1)
    assert trained.model.jit_compile is compiled
    assert np.isfinite(trained.column("loss")).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="elsewhere XLA is deterministic")
def test_nondeterministic_compilation_is_refused(train, determinism):
    determinism(True)
    with pytest.raises(
        ConfigurationError, match=r"train.jit_compile must be auto or false .*, got true; .* deterministic="
    ):
        train(jit_compile=True, own_model=True)


@pytest.mark.parametrize("kind", LOADERS)
def test_nan_loss_ends_the_run_and_names_batch(train, kind):
    source = Points()
    with load(source) as loader:
        wanted = list(loader.stream(0, 3))[1].ids
    source.spoil(source.ids.index(wanted[0]))
    with pytest.raises(
        TrainingError, match=r"the loss became nan at step 1 \(step 1 of pass 0 over the data\)"
    ) as caught:
        train(source, kind=kind)
    assert f"on the samples {', '.join(wanted)}; check these samples" in str(caught.value)


def test_nan_loss_is_found_in_a_later_epoch(train):
    with pytest.raises(TrainingError, match=r"at step [3-8] \(step [0-2] of pass [12] over the data\)"):
        train(**LATE_NAN)


def test_nan_loss_keeps_the_last_checkpoint(train, tmp_path):
    with pytest.raises(TrainingError):
        train(**LATE_NAN)
    last = keras.saving.load_model(tmp_path / "0" / "last.keras")
    assert all(np.isfinite(weight).all() for weight in last.get_weights())


def test_nan_loss_is_allowed_on_request(train):
    source = Points()
    source.spoil(0)
    assert np.isnan(train(source, terminate_on_nan=False).column("loss")).all()


def test_settling_more_often_changes_no_digest(train, monkeypatch):
    whole = train(steps_per_epoch=7).result
    monkeypatch.setattr("runner.callbacks.progress.MOST_UNSETTLED", 2)
    often = train(steps_per_epoch=7).result
    assert often["digests"] == whole["digests"]
    assert often["samples_seen"] == whole["samples_seen"] == 70


def test_old_steps_are_not_kept(train):
    blocks = {}

    def on_step(step):
        if step in (60, 200):
            gc.collect()
            blocks[step] = sys.getallocatedblocks()

    train(on_step=on_step, epochs=1, steps_per_epoch=201)
    assert blocks[200] - blocks[60] < 70


def test_training_reports_cpu_time_and_memory(train):
    began = time.process_time()
    result = train(kind="generator", validation=True).result
    took = time.process_time() - began  # of this process alone, with what it took to build the model
    assert 0.4 * took < result["cpu_seconds"] < took + 0.05
    assert abs(result["peak_memory_bytes"] - peak_memory_bytes()) < 0.2 * peak_memory_bytes()


def test_training_without_samples_used_nothing(train):
    whole = train()
    again = train(start=read_state(whole.folder), folder=whole.folder)
    assert again.result["steps"] == whole.result["steps"]
    assert not {"cpu_seconds", "peak_memory_bytes"} & set(again.result)
