"""The framework that Keras computes with: check that it is installed, start it, seed it.

`naming_refusals` explains the errors of operations that are not deterministic.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, Literal

from runner.component import Package, require
from runner.errors import ConfigurationError, RunnerError, TrainingError
from runner.machine import no_garbage_collection

Backend = Literal["tensorflow", "jax", "torch"]

XLA_DETERMINISM = "xla_gpu_deterministic_ops"

log = logging.getLogger("runner.backend")


RETRACING = "triggered tf.function retracing"
"""A warning of TensorFlow's, which counts the models of a process that it traces."""

_COMPUTING = threading.RLock()


@contextlib.contextmanager
def alone_in_process() -> Iterator[None]:
    """Refuse a run while another thread does one: Keras's random numbers are one sequence for all threads."""
    if not _COMPUTING.acquire(blocking=False):
        raise ConfigurationError(
            "a process does one run at a time, but another thread is doing one, and both would draw from the random "
            "numbers of Keras; wait until that run has ended, or start a process for each"
        )
    try:
        yield
    finally:
        _COMPUTING.release()


def log_retracing() -> None:
    """Have TensorFlow say in run.log, not on stderr, that it traces again: this process has several models."""
    logging.getLogger("tensorflow").addFilter(_is_no_retracing)


def _is_no_retracing(record: logging.LogRecord) -> bool:
    if RETRACING not in record.getMessage():
        return True
    log.info("%s", record.getMessage())
    return False


def package_of(name: Backend) -> Package:
    """The package that a backend needs."""
    if name == "tensorflow":
        return Package("backend=tensorflow", name, extra=None, otherwise="choose backend=jax or backend=torch")
    return Package(f"backend={name}", name, extra=name, otherwise="choose backend=tensorflow")


def require_backend(name: Backend) -> None:
    """Make Keras run on the backend, also if the user's own modules import Keras first. Imports nothing.

    Raises `ConfigurationError` if the backend's package is not installed.
    """
    require([package_of(name)])
    _prefer(name)


def start_backend(name: Backend, *, seed: int, deterministic: bool, user_code: bool = True) -> None:
    """Import Keras on the backend, clear earlier models, and seed all random generators.

    TensorFlow is seeded for other backends only with `user_code`, which may import it.

    Raises `ConfigurationError` if Keras already runs on another backend in this process.
    """
    is_first = "keras" not in sys.modules
    _prefer(name)
    if name == "jax" and deterministic:
        _ask_xla_for_determinism()
    with _stderr_to_log():
        with no_garbage_collection():
            import keras

        if keras.backend.backend() != name:
            raise ConfigurationError(
                f"backend={name} must be chosen before Keras is imported; this process already runs on "
                f"{keras.backend.backend()}: set KERAS_BACKEND={name} in the environment, or start a new process"
            )
        # A new process has no models to free, and the garbage collector would take 0.4 s to look at all imports.
        keras.utils.clear_session(free_memory=not is_first)
        with nullcontext() if user_code or name == "tensorflow" else _without_tensorflow():
            keras.utils.set_random_seed(seed)
        if name == "tensorflow":
            if not is_first:
                log_retracing()
            _start_tensorflow(deterministic=deterministic)
        else:
            _save_without_tensorflow()
        if name == "torch":
            _start_torch(deterministic=deterministic)


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Keras would import TensorFlow to seed it on any backend, which takes 7 s of CPU time."""
    from keras.src.utils import rng_utils

    tensorflow, rng_utils.tf = rng_utils.tf, SimpleNamespace(available=False)
    try:
        yield
    finally:
        rng_utils.tf = tensorflow


class _IfImported:
    """TensorFlow, which is available once something else has imported it."""

    def __init__(self, module: Any) -> None:
        self._module = module

    @property
    def available(self) -> bool:
        return "tensorflow" in sys.modules and bool(self._module.available)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _save_without_tensorflow() -> None:
    """Keras would import TensorFlow to ask whether a part of a saved model is one of its types.

    None is if nothing has imported it. The import takes 5 s of CPU time and writes to stderr.
    """
    from keras.src.saving import serialization_lib

    if not isinstance(serialization_lib.tf, _IfImported):
        serialization_lib.tf = _IfImported(serialization_lib.tf)


def _prefer(name: Backend) -> None:
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = name
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors, no notes


def _start_tensorflow(*, deterministic: bool) -> None:
    import tensorflow as tf

    tf.config.list_physical_devices()  # looks for drivers now, while its messages go to the log
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def _ask_xla_for_determinism() -> None:
    """Add XLA's flag for repeatable GPU kernels, unless the user has set it. XLA reads it when it first starts.

    Without it XLA times several kernels at each start and keeps the fastest, so two runs may round differently.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if XLA_DETERMINISM not in flags:
        from runner.records.provenance import set_variable

        set_variable("XLA_FLAGS", f"{flags} --{XLA_DETERMINISM}=true".lstrip())


def _start_torch(*, deterministic: bool) -> None:
    import torch

    # cuBLAS reads this when it is first used.
    if "CUBLAS_WORKSPACE_CONFIG" not in os.environ:
        from runner.records.provenance import set_variable

        set_variable("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)


@contextlib.contextmanager
def _stderr_to_log() -> Iterator[None]:
    """Write stderr of the block to the log, line by line.

    TensorFlow writes how it was compiled, and which drivers it did not find, before any setting can stop it.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                log.info("%s", line)


REFUSAL = re.compile(r"[^\n]*\bdeterminis(?:m|tic)[^\n]*", re.IGNORECASE)


TORCH_FAULT = "grad_input must be contiguous"
"""PyTorch 2.13 fails like this where Keras passes probabilities of pixels to its `nll_loss`."""


@contextlib.contextmanager
def naming_refusals(*, deterministic: bool) -> Iterator[None]:
    """Raise `TrainingError`, with the framework's own words, if it refuses an operation that is not deterministic.

    TensorFlow and PyTorch refuse when the operation runs, not when the model is built. A known fault of PyTorch is
    named as well. Errors of the runner pass unchanged.
    """
    try:
        yield
    except RunnerError:
        raise
    except Exception as error:
        if TORCH_FAULT in str(error):
            raise TrainingError(
                f"this version of PyTorch cannot compute the loss of masks ({TORCH_FAULT}); set backend=tensorflow or "
                "backend=jax, or install another version of torch"
            ) from error
        refusal = REFUSAL.search(str(error))
        if refusal is None or not deterministic:
            raise
        raise TrainingError(
            f"deterministic=true refuses an operation of the model: {refusal[0].strip()}; use another operation, or "
            "set deterministic=false"
        ) from error
