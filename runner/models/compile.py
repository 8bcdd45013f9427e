"""Compile a model for its task, and check that a model of the user's own fits the task."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from runner.batch import Array, ArraySpec
from runner.errors import ConfigurationError
from runner.fields import Layout, named_specs
from runner.models.base import DICE, JitCompile, Output, Scaling, Task

NO_PARTS: Mapping[str, Any] = {}


def compile_model(
    model: keras.Model,
    task: Task,
    *,
    optimizer: keras.Optimizer | str,
    jit_compile: JitCompile = "auto",
    losses: Mapping[str, Any] = NO_PARTS,
    metrics: Mapping[str, Any] = NO_PARTS,
) -> None:
    """Compile `model` with its optimizer, and the loss and metrics of each output.

    `losses` and `metrics`, by output, take the place of those that follow from the class mode.

    Raises `ConfigurationError` if `jit_compile` is true and XLA cannot compile the model; Keras would only warn.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Model doesn't support `jit_compile=True`")
        model.compile(
            optimizer=optimizer,
            loss=_per_output(task.outputs, lambda output: losses.get(output.name) or _loss(output)),
            metrics=_per_output(
                task.outputs, lambda output: metrics[output.name] if output.name in metrics else _metrics(output)
            ),
            jit_compile=jit_compile,
        )
    if jit_compile is True and not model.jit_compile:
        raise ConfigurationError(
            "train.jit_compile must be auto or false for a model that XLA cannot compile, got true; "
            "with backend=tensorflow, XLA needs deterministic=false"
        )


def _per_output(outputs: tuple[Output, ...], value_of: Callable[[Output], Any]) -> Any:
    values = {output.name: value_of(output) for output in outputs}
    return next(iter(values.values())) if len(values) == 1 else values


def _loss(output: Output) -> Any:
    if output.loss == DICE:
        return keras.losses.Dice(axis=(1, 2), name="dice")  # of each image and class
    if output.is_mask:
        # Divides by the number of pixels that count.
        return keras.losses.SparseCategoricalCrossentropy(ignore_class=output.ignored)
    return output.loss


def _metrics(output: Output) -> list[Any]:
    """Only classes of Keras's own, so that a saved model can be evaluated without the runner."""
    if not output.is_mask:
        return list(output.metrics)
    one_hot = output.loss == DICE
    if one_hot and output.ignored is not None:
        return []  # in one-hot masks Keras would count ignored pixels as the first class
    settings = {"ignore_class": output.ignored, "sparse_y_true": not one_hot, "sparse_y_pred": False}
    return [keras.metrics.MeanIoU(output.num_classes, name=name, **settings) for name in output.metrics]


MOST_COUNTED = 2**31 - 1
"""Keras counts the pixels of an epoch in 32 bits, except on TensorFlow, and starts again at a negative number."""


def countable(task: Task, num_samples: int) -> Task:
    """`task` without metrics of masks that Keras would get wrong in an epoch of `num_samples` samples."""
    if keras.backend.backend() == "tensorflow":
        return task
    return replace(task, outputs=tuple(_countable(output, num_samples) for output in task.outputs))


def _countable(output: Output, num_samples: int) -> Output:
    pixels = num_samples * math.prod(output.shape[:-1])
    return replace(output, metrics=()) if output.is_mask and pixels > MOST_COUNTED else output


def refuse_own_schedule(model: keras.Model) -> None:
    """Raise `ConfigurationError` if the optimizer of a compiled model follows a schedule, which nothing can lower."""
    rate = getattr(model.optimizer, "_learning_rate", None)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        raise ConfigurationError(
            "train.reduce_lr_on_plateau must be null for a model that its function compiles with a learning-rate "
            f"schedule, got {type(rate).__name__}; leave one of them out"
        )


NUM_ROWS = 8
SUM_TOLERANCE = 0.02
"""How far from 1 the sum of the probabilities of a 16-bit softmax may be."""


def refuse_unfit(model: keras.Model, task: Task, *, called: str) -> None:
    """Raise `ConfigurationError` unless `model` takes samples of `task` and returns its outputs.

    Outputs for classes must be probabilities, as the loss, predictions.csv and the report expect them. Tries the model
    on a few random samples. `called` is the name of the model in messages.
    """
    returned = _try(model, task, called)
    several = len(task.outputs) > 1
    if several and not (isinstance(returned, dict) and returned.keys() == {output.name for output in task.outputs}):
        names = ", ".join(output.name for output in task.outputs)
        got = ", ".join(returned) if isinstance(returned, dict) else f"a {type(returned).__name__}"
        raise ConfigurationError(f"{called} must return a model whose outputs are a dict of {names}, got {got}")
    for output in task.outputs:
        values = returned[output.name] if isinstance(returned, dict) and output.name in returned else returned
        if isinstance(values, dict | list | tuple):
            raise ConfigurationError(f"{called} must return a model with one output, got {len(values)}")
        _refuse_output(np.asarray(values, np.float64), output, f"{called}, output {output.name}" if several else called)


def _try(model: keras.Model, task: Task, called: str) -> Any:
    """The outputs of the model for a few random samples."""
    random, several = np.random.default_rng(0), isinstance(task.spec, Layout)
    x = {name: _some(spec, task.scaling, random) for name, spec in named_specs(task.spec)}
    _refuse_other_inputs(model, task, called)
    try:
        outputs = model(x if several else x[""], training=False)
    except Exception as error:  # of the user's own layers, or of the backend
        whole = [array.dtype for array in x.values() if array.dtype.kind != "f"]
        cast = f"; samples are {whole[0]}: begin with keras.ops.cast(x, 'float32')" if whole else ""
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        shape = f"a dict of {task.spec}" if several else f"samples of shape {x[''].shape[1:]}"
        raise ConfigurationError(f"{called} must return a model that takes {shape}: {reason}{cast}") from error
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def _some(spec: ArraySpec, scaling: Scaling, random: np.random.Generator) -> Array:
    """A few random samples of an array, in the dtype and range that the model gets."""
    top = 255 if spec.dtype.kind in "ui" and scaling == "none" else 1
    dtype = spec.dtype if scaling == "none" else np.dtype(np.float32)
    return (random.random((NUM_ROWS, *spec.shape)) * top).astype(dtype)


def _refuse_other_inputs(model: keras.Model, task: Task, called: str) -> None:
    """Raise `ConfigurationError` if the model has a dict of inputs that are not those of the samples."""
    taken, given = getattr(model, "_inputs_struct", None), {name for name, _ in named_specs(task.spec)}
    if isinstance(task.spec, Layout) and isinstance(taken, dict) and taken.keys() != given:
        raise ConfigurationError(
            f"{called} must return a model whose inputs are a dict of {', '.join(sorted(given))}, got "
            f"{', '.join(sorted(taken))}"
        )


def _refuse_output(values: Array, output: Output, called: str) -> None:
    last = f"a convolution of {output.num_classes} filters" if output.is_mask else f"{output.units} units"
    mend = f"end it in {last} with activation={output.activation!r}"
    if values.shape[1:] != output.shape:
        raise ConfigurationError(
            f"{called} must return a model with output of shape {output.shape}, like the labels, got "
            f"{values.shape[1:]}; {mend}"
        )
    if output.activation == "softmax" and not np.allclose(sums := values.sum(axis=-1), 1, atol=SUM_TOLERANCE):
        raise ConfigurationError(
            f"{called} must return a model with probabilities as output, got values that add up to "
            f"{sums.flat[0]:.3g} for a {'pixel' if output.is_mask else 'sample'}; {mend}"
        )
    if output.activation in ("softmax", "sigmoid") and (values.min() < 0 or values.max() > 1):
        raise ConfigurationError(
            f"{called} must return a model with probabilities as output, got values from {values.min():.3g} to "
            f"{values.max():.3g}; {mend}"
        )
