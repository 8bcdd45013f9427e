"""Weights from a file, for a network that is part of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras

from runner.errors import DataError
from runner.records.folder import MODEL


def load_weights(network: keras.Model, file: Path) -> None:
    """Load the weights of `file` into `network`: a `.keras` file, a run's folder, `.weights.h5`, or an older `.h5`.

    A `.keras` file may hold the network itself, with or without its top, or a model with the network as a layer, like
    the runner's models. Raises `DataError` if the file holds no weights of these shapes.
    """
    file = file / MODEL if file.is_dir() else file
    try:
        if file.suffix == ".keras":
            _copy_weights(network, keras.saving.load_model(file, compile=False))
        else:
            network.load_weights(file)
    except (ValueError, OSError, KeyError) as error:
        raise DataError(f"model.weights={file} must hold weights of {network.name}: {error}") from error


def _copy_weights(network: keras.Model, model: keras.Model) -> None:
    wanted = _shapes(network)
    for candidate in _networks(model):
        if _shapes(candidate)[: len(wanted)] == wanted:
            network.set_weights(candidate.get_weights()[: len(wanted)])
            _finish(network)
            return
    raise ValueError(f"no part of {model.name} has {len(wanted)} weights of the same shapes")


def _networks(model: keras.Model) -> Iterator[keras.Model]:
    yield from (layer for layer in model.layers if isinstance(layer, keras.Model))
    yield model


def _shapes(network: keras.Model) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in network.weights]


def _finish(network: keras.Model) -> None:
    """Make normalisation layers use the mean and variance that were loaded as weights."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
