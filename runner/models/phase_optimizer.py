"""The optimizer of a phase of training: what it takes over of the one before, and a schedule that begins later."""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

import keras


@keras.saving.register_keras_serializable("keras_runner")
class PhaseSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """`schedule`, whose step 0 is step `first_step` of the optimizer.

    A phase takes over the steps of the optimizer before it. A model that holds one loads with `compile=True` once this
    module is imported.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, first_step: int) -> None:
        super().__init__()
        self.schedule, self.first_step = schedule, first_step

    def __call__(self, step: Any) -> Any:
        """The rate at `step` of the optimizer."""
        return self.schedule(keras.ops.maximum(step - self.first_step, 0))

    def get_config(self) -> dict[str, Any]:
        """The schedule as Keras saves it, and its first step."""
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "first_step": self.first_step}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The schedule that `get_config` describes."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["first_step"])


def carry_over(before: keras.Optimizer, optimizer: keras.Optimizer, *, goes_on: bool) -> None:
    """Give a new optimizer, which is built, what the one `before` has kept: all but the learning rate.

    A variable is known by its path without the name of the optimizer, which Keras numbers. What only one of the two
    has, as of weights that were not trained before, stays as it is. An optimizer that does not go on keeps only the
    scale of the loss (mixed_float16).
    """
    pairs = [
        (_scaler(before), _scaler(optimizer)),
        *([(inner_optimizer(before), inner_optimizer(optimizer))] if goes_on else []),
    ]
    for old, new in pairs:
        kept = _by_path(old)
        for path, variable in _by_path(new).items():
            if path in kept and kept[path].shape == variable.shape and path != "learning_rate":
                variable.assign(kept[path])


def inner_optimizer(optimizer: keras.Optimizer) -> keras.Optimizer:
    """The optimizer that computes the updates: loss scaling (mixed_float16) wraps it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _scaler(optimizer: keras.Optimizer) -> keras.Optimizer | None:
    return None if inner_optimizer(optimizer) is optimizer else optimizer


def _by_path(optimizer: keras.Optimizer | None) -> dict[str, keras.Variable]:
    """The variables of an optimizer, without those of one that it wraps, by path; without paths that are not unique."""
    if optimizer is None:
        return {}
    inner = inner_optimizer(optimizer)
    wrapped = set() if inner is optimizer else {id(variable) for variable in inner.variables}
    own = [variable for variable in optimizer.variables if id(variable) not in wrapped]
    paths = [variable.path.partition("/")[2] for variable in own]
    unique = Counter(paths)
    return {path: variable for path, variable in zip(paths, own, strict=True) if unique[path] == 1}
