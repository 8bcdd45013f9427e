"""Losses and metrics as objects of Keras: made from their names and arguments, and tried before training."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras.src.backend import compute_output_spec

from runner.batch import Array
from runner.errors import ConfigurationError
from runner.messages import did_you_mean, first_few
from runner.models.base import DICE, Output
from runner.models.parts import Part, squeezed
from runner.models.savable import refuse_unloadable
from runner.user_code import error_text, kind_of, load, make, module_of

ROWS = 7
"""The samples that a loss or a metric is tried on."""


def class_of(module: Any, name: str) -> type:
    """The class of `keras.losses` or `keras.metrics` with a name, however it is spelled."""
    classes = {squeezed(key): item for key, item in vars(module).items() if inspect.isclass(item)}
    found: type = classes[squeezed(name)]
    return found


def construct(made: type, arguments: Mapping[str, Any], key: str, name: str) -> Any:
    """An object of one of Keras's classes. Raises `ConfigurationError` if it does not take the arguments."""
    parameters = [one for one in inspect.signature(made).parameters if one not in ("dtype", "kwargs")]
    for argument in arguments:
        if argument not in parameters:
            raise ConfigurationError(
                f"{key}: {name} must have arguments among {first_few(parameters, most=len(parameters))}, got "
                f"{argument!r}{did_you_mean(argument, parameters)}"
            )
    if arguments.get("from_logits"):
        raise ConfigurationError(
            f"{key}: {name} must have from_logits=false, got true: the model ends in probabilities; leave it out"
        )
    try:
        return made(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{key}: {name} cannot be made with these arguments: {_first_line(error)}") from error


def own_part(part: Part, key: str, base: type) -> Any:
    """The user's own loss or metric: a function of labels and outputs, or an object of `base`.

    A class is called with the arguments, as is a function whose first two parameters are not labels and outputs. Raises
    `ConfigurationError` if it is none of these, or if a model that holds it could not be loaded.
    """
    found, kind = load(part.name), f"keras.{base.__module__.split('.')[2]}.{base.__name__}"
    is_made = isinstance(found, base) or (_is_of_labels(found) and not part.arguments)
    made = found if is_made else make(part.name, key, part.arguments, key="name")
    if not (isinstance(made, base) or _is_of_labels(made)):
        raise ConfigurationError(
            f"{key}={part.name} must be a function of y_true and y_pred, or make a {kind}, got {kind_of(made)}"
        )
    refuse_unloadable(made, f"{key}={part.name}", module_of(part.name), part.arguments)
    return made


def _is_of_labels(found: Any) -> bool:
    """Whether an object is a function whose first two parameters must be given: the labels and the outputs."""
    if not inspect.isfunction(found):
        return False
    parameters = list(inspect.signature(found).parameters.values())
    needed = [one for one in parameters if one.default is one.empty and one.kind is not one.KEYWORD_ONLY]
    return len(needed) == 2 and parameters[:2] == needed


def example(output: Output) -> tuple[Array, Array]:
    """Labels of a few samples as the loader gives them, and outputs of the model for them."""
    random, codes = np.random.default_rng(0), output.num_classes
    predicted = random.random((ROWS, *output.shape)).astype(np.float32)
    if output.activation == "softmax":
        predicted /= predicted.sum(axis=-1, keepdims=True)
    match output.mode:
        case "categorical":
            labels: Array = np.eye(codes, dtype=np.float32)[np.arange(ROWS) % codes]
        case "sparse" | "binary":
            labels = (np.arange(ROWS) % codes).astype(np.float32)
        case "multi_label":
            labels = random.integers(0, 2, (ROWS, codes)).astype(np.float32)
        case "mask":
            labels = random.integers(0, codes, (ROWS, *output.shape[:-1])).astype(
                np.uint8 if codes < 256 else np.uint16
            )
            if output.loss == DICE:
                labels = np.eye(codes, dtype=np.float32)[labels]
        case _:
            labels = predicted[:, 0].copy() if output.shape == (1,) else predicted.copy()
    return labels, predicted


def refuse_uncomputable(function: Any, output: Output, key: str) -> None:
    """Raise `ConfigurationError` unless `function` can be computed for the labels of an output; tried on shapes."""
    labels, predicted = (keras.KerasTensor(one.shape, one.dtype.name) for one in example(output))
    try:
        found = compute_output_spec(function, labels, predicted)
    except Exception as error:  # of the user's own code, or of the backend
        raise ConfigurationError(uncomputable(key, output, error)) from error
    if tuple(found.shape[:2]) == (ROWS, ROWS) and len(labels.shape) < len(predicted.shape):
        raise ConfigurationError(
            f"{key} must give one value for each sample, got one for each pair of samples: labels have shape n and "
            "outputs have shape n×1; begin with y_pred = keras.ops.squeeze(y_pred, -1)"
        )


def uncomputable(key: str, output: Output, error: Exception) -> str:
    """The problem with a loss or metric that fails for the labels and outputs of a model."""
    labels, predicted = example(output)
    named = key.partition("=")[2]
    reason = error_text(error, named) if "." in named else _first_line(error)
    return (
        f"{key} cannot be computed for labels of shape {_batch_shape(labels)} and outputs of shape "
        f"{_batch_shape(predicted)}, class_mode={output.mode}: {reason}"
    )


def _batch_shape(array: Array) -> str:
    return "×".join(("n", *map(str, array.shape[1:])))


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
