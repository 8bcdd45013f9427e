"""The backend: found, started, quiet."""

import contextlib
import gc
import logging
import os
import random
import sys
import threading
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from runner import compose, run
from runner.errors import ConfigurationError
from runner.records.provenance import environment
from runner.training import backend


def test_missing_backend_is_named_with_its_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ConfigurationError, match=r"backend=jax needs the package jax, which is not installed; pip"):
        backend.require_backend("jax")


def test_backend_is_set_before_keras_is_imported(monkeypatch):
    monkeypatch.setattr(backend, "require", lambda packages: None)
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    backend.require_backend("jax")
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_changing_the_backend_is_refused():
    other = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    pytest.importorskip(other)
    with pytest.raises(ConfigurationError, match=f"this process already runs on {keras.backend.backend()}"):
        backend.start_backend(other, seed=0, deterministic=True)


def test_no_garbage_is_collected_on_import(monkeypatch):
    seen = []
    monkeypatch.delitem(sys.modules, "keras")
    finder = SimpleNamespace(find_spec=lambda name, path, target=None: seen.append((name, gc.isenabled())))
    monkeypatch.setattr(sys, "meta_path", [finder])
    with pytest.raises(ImportError):
        backend.start_backend("jax", seed=0, deterministic=True)
    assert seen == [("keras", False)]
    assert gc.isenabled()


def test_start_seeds_all_that_is_random():
    weights = []
    for _ in range(2):
        backend.start_backend(keras.backend.backend(), seed=7, deterministic=True)
        layer = keras.layers.Dense(3)
        layer.build((None, 4))
        weights.append(keras.ops.convert_to_numpy(layer.kernel))
    assert (weights[0] == weights[1]).all()


def test_seeding_imports_no_tensorflow(monkeypatch):
    drawn = []
    monkeypatch.setattr("tensorflow.random.set_seed", drawn.append)
    for seeded in (backend._without_tensorflow, contextlib.nullcontext):
        with seeded():
            keras.utils.set_random_seed(7)
        drawn.append((random.random(), np.random.rand(), float(keras.random.uniform(()))))
    assert drawn[1] == 7 and drawn[0] == drawn[2]


def test_stderr_output_goes_to_the_log(caplog, capfd):
    with caplog.at_level(logging.INFO, "runner"), backend._stderr_to_log():
        os.write(2, b"no driver found\n")
    assert "no driver found" in caplog.text
    assert capfd.readouterr().err == ""


def test_traces_of_a_later_model_go_to_the_log(caplog):
    backend.start_backend("tensorflow", seed=0, deterministic=False)  # Keras is imported already
    text = "5 out of the last 9 calls to <f> triggered tf.function retracing."
    records = [logging.makeLogRecord({"msg": each}) for each in (text, "another warning")]
    with caplog.at_level(logging.INFO, "runner"):
        assert [bool(logging.getLogger("tensorflow").filter(record)) for record in records] == [False, True]
    assert caplog.messages == [text]


def test_a_process_does_one_run_at_a_time(tmp_path):
    refusals = []

    def begin():
        try:
            run(compose(["mode=check"]), folder=tmp_path / "run")
        except ConfigurationError as error:
            refusals.append(str(error))

    with backend.alone_in_process(), backend.alone_in_process():  # a run may start one, as in a callback
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()
    assert "a process does one run at a time, but another thread is doing one" in refusals[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "--xla_gpu_deterministic_ops=true"),
        ("--xla_dump_to=dump", "--xla_dump_to=dump --xla_gpu_deterministic_ops=true"),
        ("--xla_gpu_deterministic_ops=false", "--xla_gpu_deterministic_ops=false"),
    ],
)
def test_deterministic_jax_sets_the_flag_of_xla(given, expected, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if given is not None:
        monkeypatch.setenv("XLA_FLAGS", given)
    monkeypatch.setattr(backend, "_prefer", lambda name: None)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    backend.start_backend("jax", seed=0, deterministic=True)
    assert os.environ["XLA_FLAGS"] == expected
    assert environment().get("XLA_FLAGS") == given  # as a run records it


def test_jax_without_determinism_keeps_the_flags(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(backend, "_prefer", lambda name: None)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    backend.start_backend("jax", seed=0, deterministic=False)
    assert "XLA_FLAGS" not in os.environ


def test_saving_asks_no_absent_tensorflow(monkeypatch):
    from keras.src.saving import serialization_lib

    monkeypatch.setattr(serialization_lib, "tf", SimpleNamespace(available=True, TensorShape=tuple))
    backend._save_without_tensorflow()
    backend._save_without_tensorflow()
    assert serialization_lib.tf.TensorShape is tuple
    monkeypatch.setitem(sys.modules, "tensorflow", serialization_lib.tf)
    assert serialization_lib.tf.available
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert not serialization_lib.tf.available
    assert serialization_lib.serialize_keras_object(keras.layers.Dense(3))["class_name"] == "Dense"
