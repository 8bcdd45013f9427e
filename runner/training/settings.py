"""How a model is trained: the `train` group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from runner.component import Component, Count, PositiveInt
from runner.models.base import JitCompile, Precision
from runner.models.optimizers import Adam, AnyOptimizer
from runner.models.schedules import AnyLearningRate, Schedule

if TYPE_CHECKING:
    import keras

ClassWeight = Annotated[float, Field(ge=0)]


class EarlyStopping(Component):
    """When to stop before the last epoch, as `keras.callbacks.EarlyStopping` has it."""

    patience: Count = 5
    """Epochs without improvement (those with a value, where not every epoch validates) after which training stops."""

    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """The smallest change that counts as an improvement."""

    restore_best_weights: bool = False
    """Whether the model ends with the weights of its best epoch."""


class ReduceLROnPlateau(Component):
    """When to lower the learning rate, as `keras.callbacks.ReduceLROnPlateau` has it."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the learning rate is multiplied by."""

    patience: Count = 10
    """Epochs without improvement (those with a value, where not every epoch validates) before that."""

    min_delta: Annotated[float, Field(ge=0)] = 0.0001
    """The smallest change that counts as an improvement."""

    cooldown: Count = 0
    """Epochs after a reduction in which none is counted as being without improvement."""

    min_lr: Annotated[float, Field(ge=0)] = 0.0
    """The lowest learning rate."""


class CheckpointEvery(Component):
    """When to write a state that `resume` can go on from: whichever comes first; and at the end, always."""

    seconds: Annotated[float, Field(gt=0)] | None = 60.0
    """Seconds from one state to the next; null: time does not count."""

    steps: PositiveInt | None = None
    """Steps from one state to the next; null: they do not count."""

    epochs: PositiveInt | None = None
    """Epochs from one state to the next; null: they do not count."""

    def is_due(self, step: int, seconds: float, *, steps_per_epoch: int) -> bool:
        """Whether a state is due after `step` steps, `seconds` after the last one."""
        if self.seconds is not None and seconds >= self.seconds:
            return True
        intervals = (self.steps, self.epochs and self.epochs * steps_per_epoch)
        return any(interval and step % interval == 0 for interval in intervals)


class Train(Component):
    """How the model is fitted."""

    epochs: PositiveInt = 10
    """Epochs to train, as Keras counts them."""

    steps_per_epoch: PositiveInt | None = None
    """Steps between two reports; null: one pass over the data. Never skips or repeats samples."""

    optimizer: AnyOptimizer = Adam()
    """The optimizer: its name and Keras's arguments of it."""

    learning_rate: AnyLearningRate = 0.001
    """The optimizer's learning rate: a number, or a schedule by Keras's name and arguments."""

    reduce_lr_on_plateau: ReduceLROnPlateau | None = None
    """Lower the learning rate once the monitored value no longer improves; null: never."""

    class_weight: Literal["balanced"] | dict[str, ClassWeight] | None = None
    """What samples count in the loss, by class name (1 where not named); balanced: the rarer, the more."""

    precision: Precision = "float32"
    """What the layers compute in; weights and outputs are float32 always."""

    jit_compile: JitCompile = "auto"
    """Whether XLA compiles the training step; auto: where Keras deems it faster. On TensorFlow not if deterministic."""

    monitor: str = "auto"
    """What decides the best epoch, for the best checkpoint and early stopping; auto: val_loss, else loss."""

    validation_every: PositiveInt = 1
    """Epochs from one validation to the next; the last epoch is always validated."""

    early_stopping: EarlyStopping | None = None
    """Stop once the monitored value no longer improves; null: train all epochs."""

    terminate_on_nan: bool = True
    """Whether a loss that is NaN or infinite ends the run with an error that names the batch."""

    checkpoint_every: CheckpointEvery = CheckpointEvery()
    """How much of the training a crash may cost."""

    @model_validator(mode="after")
    def _one_owner_of_the_rate(self) -> Self:
        if self.reduce_lr_on_plateau and isinstance(self.learning_rate, Schedule):
            raise ValueError(
                "reduce_lr_on_plateau must be null beside a learning-rate schedule, got both; "
                "give learning_rate as a number"
            )
        return self

    def build_optimizer(self, num_steps: int) -> keras.Optimizer:
        """The optimizer with its learning rate, for a run of `num_steps` steps."""
        rate = self.learning_rate
        return self.optimizer.build(rate.build(num_steps) if isinstance(rate, Schedule) else rate)

    def describe_rate(self) -> str:
        """The learning rate, or the schedule's name, for the account of a run."""
        return self.learning_rate.name if isinstance(self.learning_rate, Schedule) else f"{self.learning_rate:g}"
