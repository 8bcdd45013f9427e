"""How a model is trained: the `train` group."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from runner.components import Component, Count, PositiveInt

OptimizerName = Literal[
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "muon", "nadam",
    "rmsprop", "sgd",
]  # fmt: skip


class Optimizer(Component):
    """Which of Keras's optimizers updates the weights."""

    name: OptimizerName = "adam"
    """The optimizer, by Keras's own identifier."""


class EarlyStopping(Component):
    """When to stop before the last epoch, as `keras.callbacks.EarlyStopping` has it."""

    patience: Count = 5
    """Epochs without improvement after which training stops."""

    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """The smallest change that counts as an improvement."""

    restore_best_weights: bool = False
    """Whether the model ends with the weights of its best epoch."""


class Train(Component):
    """How the model is fitted."""

    epochs: PositiveInt = 10
    """Epochs to train, as Keras counts them."""

    steps_per_epoch: PositiveInt | None = None
    """Steps between two reports; null: one pass over the data. Never skips or repeats samples."""

    optimizer: Optimizer = Optimizer()
    """The optimizer."""

    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    """The optimizer's learning rate."""

    monitor: str = "auto"
    """What decides the best epoch, for the best checkpoint and early stopping; auto: val_loss, else loss."""

    early_stopping: EarlyStopping | None = None
    """Stop once the monitored value no longer improves; null: train all epochs."""
