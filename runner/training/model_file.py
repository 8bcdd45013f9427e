"""The file of a model, and the digest of its weights."""

from __future__ import annotations

from pathlib import Path

import keras

from runner.errors import RunnerError
from runner.models.layers import any_input_names
from runner.records.digests import weights_digest
from runner.records.files import replacing


def load(file: Path) -> keras.Model:
    """The compiled model of `file`, with its loss and metrics. Raises `RunnerError` if Keras cannot load it."""
    try:
        with any_input_names():
            return keras.saving.load_model(file)
    except Exception as error:  # Keras passes on the errors of its zip, JSON and HDF5 readers
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RunnerError(f"{file} cannot be loaded as a Keras model: {reason}") from error


def save(model: keras.Model, file: Path) -> str:
    """Write the model to `file`, whose bytes differ each time. Returns the digest of the weights."""
    with replacing(file) as temporary:
        model.save(temporary)
    return model_digest(model)


def model_digest(model: keras.Model) -> str:
    """The digest of the weights; a model loaded from its file has the same.

    It counts weights by position, as Keras changes names when it loads a model. It excludes the states of random
    generators, which no file holds.
    """
    return weights_digest(
        (str(number), keras.ops.convert_to_numpy(variable)) for number, variable in enumerate(model.weights)
    )
