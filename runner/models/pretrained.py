"""Weights from a file, for a network that is part of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras

from runner.errors import DataError
from runner.records.folder import MODEL


def load_weights(network: keras.Model, file: Path) -> None:
    """Give `network` the weights of `file`: a `.keras` file, a run's folder, `.weights.h5`, or Keras's older `.h5`.

    A `.keras` file may hold the network itself, with its own top or without, or a model that has it as a layer, as
    the runner's models do. Raises `DataError` where the file holds no weights of this shape.
    """
    file = file / MODEL if file.is_dir() else file
    try:
        if file.suffix == ".keras":
            _take_over(network, keras.saving.load_model(file, compile=False))
        else:
            network.load_weights(file)
    except (ValueError, OSError, KeyError) as error:
        raise DataError(f"model.weights={file} must hold weights of {network.name}: {error}") from error


def _take_over(network: keras.Model, model: keras.Model) -> None:
    wanted = _shapes(network)
    for candidate in _networks(model):
        if _shapes(candidate)[: len(wanted)] == wanted:
            network.set_weights(candidate.get_weights()[: len(wanted)])
            _finish(network)
            return
    raise ValueError(f"no part of {model.name} has its {len(wanted)} weights in these shapes")


def _networks(model: keras.Model) -> Iterator[keras.Model]:
    yield from (layer for layer in model.layers if isinstance(layer, keras.Model))
    yield model


def _shapes(network: keras.Model) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in network.weights]


def _finish(network: keras.Model) -> None:
    """Let normalisation layers see the mean and variance they were given as weights."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
