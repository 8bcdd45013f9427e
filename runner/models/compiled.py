"""Compiling a model for its task."""

from __future__ import annotations

from typing import Any

import keras

from runner.models.outputs import Output
from runner.models.settings import Task


def compile_model(model: keras.Model, task: Task, *, optimizer: str, learning_rate: float) -> None:
    """Give `model` its optimizer, and the loss and metrics of each output."""
    settings = {"class_name": optimizer, "config": {"learning_rate": learning_rate}}
    model.compile(
        optimizer=keras.optimizers.get(settings),
        loss=_per_output(task.outputs, "loss"),
        metrics=_per_output(task.outputs, "metrics"),
    )


def _per_output(outputs: tuple[Output, ...], field: str) -> Any:
    values = {output.name: getattr(output, field) for output in outputs}
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return next(iter(values.values())) if len(values) == 1 else values
