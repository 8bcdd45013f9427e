"""A model from its file."""

from __future__ import annotations

from pathlib import Path

import keras

from runner.errors import RunnerError


def load(file: Path) -> keras.Model:
    """The model as it was compiled: its loss and metrics come with it.

    Raises `RunnerError`, naming the file, where Keras cannot load it.
    """
    try:
        return keras.saving.load_model(file)
    except Exception as error:  # Keras raises whatever its readers of zip, JSON and HDF5 do
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RunnerError(f"{file} cannot be loaded as a Keras model: {reason}") from error
