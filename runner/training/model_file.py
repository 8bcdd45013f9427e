"""The file of a model, and the digest of its weights."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import keras

import runner.models.encoded_metric
import runner.models.phase_optimizer  # noqa: F401 - these register what a saved model may hold
from runner.errors import RunnerError
from runner.models.layers import any_input_names
from runner.records.digests import weights_digest
from runner.records.files import replacing
from runner.records.folder import CHECKPOINTS

LAST, BEST = "last.keras", "best.keras"
"""The checkpoints of the last and the best epoch."""


def load(file: Path) -> keras.Model:
    """The compiled model of `file`, with its loss and metrics. Raises `RunnerError` if Keras cannot load it."""
    try:
        with any_input_names():
            return keras.saving.load_model(file)
    except Exception as error:  # Keras passes on the errors of its zip, JSON and HDF5 readers
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RunnerError(f"{file} cannot be loaded as a Keras model: {reason}") from error


def save(model: keras.Model, file: Path, of_epochs: Sequence[str | None] = ()) -> str:
    """Write the model to `file`, in the folder of a run. Returns the digest of the weights.

    `of_epochs` are the digests after each epoch. If the last one is the same, the checkpoint of that epoch is copied.
    """
    digest, last = model_digest(model), file.parent / CHECKPOINTS / LAST
    with replacing(file) as temporary:
        if of_epochs and digest == of_epochs[-1] and last.is_file():
            shutil.copyfile(last, temporary)
        else:
            model.save(temporary)
    return digest


def model_digest(model: keras.Model) -> str:
    """The digest of the weights; a model loaded from its file has the same.

    It counts weights by position, as Keras changes names when it loads a model. It excludes the states of random
    generators, which no file holds.
    """
    return weights_digest(
        (str(number), keras.ops.convert_to_numpy(variable)) for number, variable in enumerate(model.weights)
    )
