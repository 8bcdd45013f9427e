"""Compiling a model for its task."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from runner.errors import ConfigurationError
from runner.models.base import JitCompile, Task
from runner.models.outputs import Output


def compile_model(
    model: keras.Model, task: Task, *, optimizer: keras.Optimizer | str, jit_compile: JitCompile = "auto"
) -> None:
    """Give `model` its optimizer, and the loss and metrics of each output.

    Raises `ConfigurationError` where XLA is asked for and cannot be had; Keras would warn and go on without.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Model doesn't support `jit_compile=True`")
        model.compile(
            optimizer=optimizer,
            loss=_per_output(task.outputs, "loss"),
            metrics=_per_output(task.outputs, "metrics"),
            jit_compile=jit_compile,
        )
    if jit_compile is True and not model.jit_compile:
        raise ConfigurationError(
            "train.jit_compile must be auto or false where XLA cannot compile the model, got true; "
            "with backend=tensorflow it takes deterministic=false"
        )


def _per_output(outputs: tuple[Output, ...], field: str) -> Any:
    values = {output.name: getattr(output, field) for output in outputs}
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return next(iter(values.values())) if len(values) == 1 else values
