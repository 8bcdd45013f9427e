"""A model from its file.

The final model, as a file and as a digest.
"""

from __future__ import annotations

from pathlib import Path

import keras

from runner.errors import RunnerError
from runner.records.digests import weights_digest
from runner.records.files import replacing


def load(file: Path) -> keras.Model:
    """The model as it was compiled: its loss and metrics come with it.

    Raises `RunnerError`, naming the file, where Keras cannot load it.
    """
    try:
        return keras.saving.load_model(file)
    except Exception as error:  # Keras raises whatever its readers of zip, JSON and HDF5 do
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RunnerError(f"{file} cannot be loaded as a Keras model: {reason}") from error


def save(model: keras.Model, file: Path) -> str:
    """Write the model to `file` and return the digest of its weights; the bytes differ from one writing to the next."""
    with replacing(file) as temporary:
        model.save(temporary)
    return model_digest(model)


def model_digest(model: keras.Model) -> str:
    """The digest of the weights, the same for a model loaded from its file.

    By position: Keras changes names when it loads a model. Without the states of random generators, which no file
    has.
    """
    return weights_digest(
        (str(number), keras.ops.convert_to_numpy(variable)) for number, variable in enumerate(model.weights)
    )
