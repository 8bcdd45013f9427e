"""The settings of a phase of training, `train.phases`, and of early stopping and class weights, which it may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_serializer

from runner.component import Component, Count, PositiveInt
from runner.models.optimizers import Adam, AnyOptimizer
from runner.models.schedules import AnyLearningRate
from runner.transforms.settings import Augment

ClassWeight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ClassWeights = Literal["balanced"] | dict[str, ClassWeight] | None


class EarlyStoppingSettings(Component):
    """When to stop before the last epoch, as in `keras.callbacks.EarlyStopping`."""

    patience: Count = 5
    """Epochs without improvement before training stops; only epochs that have the value count."""

    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """The smallest change that counts as an improvement."""

    restore_best_weights: bool = False
    """Whether the model ends with the weights of its best epoch."""


class Phase(Component):
    """Epochs with settings of their own; a key that is missing is as outside of phases."""

    epochs: PositiveInt
    """Epochs of the phase."""

    trainable: bool | PositiveInt = True
    """Whether the layers before the outputs are trained, or how many of the last of them; outputs always are. Missing:
    as the model is built."""

    learning_rate: AnyLearningRate = 0.001
    """The learning rate: a number, or a schedule that is counted from the first step of the phase."""

    optimizer: AnyOptimizer = Adam()
    """The optimizer."""

    class_weight: ClassWeights = None
    """Weights of classes in the loss."""

    early_stopping: EarlyStoppingSettings | None = None
    """When the phase ends before its last epoch."""

    augment: Augment = Augment()
    """PhaseAugmentation of the training images, in place of data.augment but for its crop; null and {}: none."""

    freeze_batch_norm: bool = False
    """Whether layers BatchNormalization keep their statistics and weights, also where layers around them are trained.
    """

    @field_validator("augment", mode="before")
    @classmethod
    def _null_is_none(cls, value: Any) -> Any:
        return {} if value is None else value

    def changes(self, *keys: str) -> dict[str, Any]:
        """The values of those of `keys` that the phase was given."""
        return {key: getattr(self, key) for key in keys if key in self.model_fields_set}

    @model_serializer(mode="wrap")
    def _only_given(self, dump: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if key in self.model_fields_set}


OF_TRAIN = ("epochs", "learning_rate", "optimizer", "class_weight", "early_stopping")
"""Keys of a phase that `train` has as well."""


def with_sum_of_epochs(value: Any) -> Any:
    """The plain values of `train`, in which `epochs` is the sum of those of its phases unless it is given."""
    phases = value.get("phases") if isinstance(value, Mapping) else None
    if not isinstance(phases, list | tuple) or not phases or "epochs" in value:
        return value
    epochs = [one.get("epochs") if isinstance(one, Mapping) else getattr(one, "epochs", None) for one in phases]
    return {**value, "epochs": sum(epochs)} if all(type(each) is int and each > 0 for each in epochs) else value
