"""The framework Keras computes with: found, started, seeded."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Literal

from runner.errors import ConfigurationError

Backend = Literal["tensorflow", "jax"]


def require_backend(name: Backend) -> None:
    """Raise `ConfigurationError` if the backend's package is not installed; imports nothing."""
    if importlib.util.find_spec(name) is None:
        mend = "pip install tensorflow" if name == "tensorflow" else f"pip install 'keras-runner[{name}]'"
        raise ConfigurationError(f"backend={name} must be an installed package, got no package {name}; {mend}")


def start_backend(name: Backend, *, seed: int, deterministic: bool) -> None:
    """Import Keras on the backend, forget earlier models, and seed all that is random.

    Raises `ConfigurationError` if Keras already runs on another backend in this process.
    """
    require_backend(name)
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = name
    # TensorFlow's notes on how it was compiled are no news to the reader of a run's account.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    if keras.backend.backend() != name:
        raise ConfigurationError(
            f"backend={name} must be chosen before Keras is imported; in this process it already runs on "
            f"{keras.backend.backend()}: set KERAS_BACKEND={name} in the environment, or start a new process"
        )
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if deterministic and name == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
