"""Keras's learning-rate schedules: `train.learning_rate` as more than a number.

Steps are training steps, one per batch, counted over the whole run, or over a phase of it; Keras also counts every
batch if gradients are accumulated. A schedule has the name of its Keras class.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Strict, Tag, model_validator

from runner.component import Arguments, Component, Count, DottedName, PositiveInt
from runner.errors import ConfigurationError
from runner.models.parts import own_target
from runner.user_code import kind_of, make, module_of

if TYPE_CHECKING:
    import keras

Rate = Annotated[float, Field(gt=0)]
FinalRate = Annotated[float, Field(ge=0)]


class Schedule(Component):
    """A learning rate that depends on the step."""

    name: str

    @abstractmethod
    def keras_arguments(self, num_steps: int) -> dict[str, Any]:
        """Keras's arguments, for a run of `num_steps` steps."""

    def build(self, num_steps: int, first_step: int = 0) -> keras.optimizers.schedules.LearningRateSchedule:
        """The schedule, for `num_steps` steps from `first_step` of the optimizer on."""
        schedule = self.make(num_steps)
        if not first_step:
            return schedule
        from runner.models.phase_optimizer import PhaseSchedule

        return PhaseSchedule(schedule, first_step)

    def make(self, num_steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """Keras's schedule, for `num_steps` steps."""
        import keras

        made = getattr(keras.optimizers.schedules, type(self).__name__)
        return made(**self.keras_arguments(num_steps))


class Decay(Schedule):
    """A schedule with a first rate and a number of steps."""

    initial_learning_rate: FinalRate
    """The rate of the first step."""

    decay_steps: PositiveInt | None = None
    """Steps of the decay; null: all steps of the run."""

    def keras_arguments(self, num_steps: int) -> dict[str, Any]:
        """The fields, with `decay_steps` filled in."""
        return {**self.model_dump(exclude={"name"}), "decay_steps": self.decay_steps or num_steps}


class CosineDecay(Decay):
    """Half a cosine down, after a linear warm-up where one is given."""

    name: Literal["cosine_decay"] = "cosine_decay"

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The last rate, as a share of the highest."""

    warmup_target: Rate | None = None
    """The rate the warm-up rises to; null: no warm-up."""

    warmup_steps: Count = 0
    """Steps of the warm-up, before the decay begins."""

    @model_validator(mode="after")
    def _warmup_is_whole(self) -> Self:
        if (self.warmup_target is None) != (self.warmup_steps == 0):
            raise ValueError(
                "warmup_target and warmup_steps must be given together, got "
                f"warmup_target={self.warmup_target} and warmup_steps={self.warmup_steps}"
            )
        return self

    def keras_arguments(self, num_steps: int) -> dict[str, Any]:
        """The fields; without `decay_steps`, the decay takes the steps after the warm-up."""
        return super().keras_arguments(max(num_steps - self.warmup_steps, 1))


class ExponentialDecay(Decay):
    """The rate times `decay_rate` for every `decay_steps`."""

    name: Literal["exponential_decay"] = "exponential_decay"

    decay_rate: Rate
    """The factor of the rate after `decay_steps` steps."""

    staircase: bool = False
    """Whether the rate changes only every `decay_steps`."""


class InverseTimeDecay(Decay):
    """The rate divided by 1 + `decay_rate` · step / `decay_steps`."""

    name: Literal["inverse_time_decay"] = "inverse_time_decay"

    decay_rate: Rate
    """How fast the rate falls."""

    staircase: bool = False
    """Whether the rate changes only every `decay_steps`."""


class PolynomialDecay(Decay):
    """A polynomial down to `end_learning_rate`."""

    name: Literal["polynomial_decay"] = "polynomial_decay"

    end_learning_rate: FinalRate = 0.0001
    """The last rate."""

    power: Rate = 1.0
    """The polynomial's power; 1 is a straight line."""

    cycle: bool = False
    """Whether the decay repeats after its end."""


class CosineDecayRestarts(Schedule):
    """Cosine decay that restarts."""

    name: Literal["cosine_decay_restarts"] = "cosine_decay_restarts"

    initial_learning_rate: FinalRate
    """The rate of the first step."""

    first_decay_steps: PositiveInt
    """Steps of the first decay."""

    t_mul: Rate = 2.0
    """How much longer each decay is than the one before."""

    m_mul: Rate = 1.0
    """How much higher each decay begins than the one before."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The last rate of a decay, as a share of its first."""

    def keras_arguments(self, num_steps: int) -> dict[str, Any]:
        """The fields."""
        return self.model_dump(exclude={"name"})


class PiecewiseConstantDecay(Schedule):
    """One constant rate after another."""

    name: Literal["piecewise_constant_decay"] = "piecewise_constant_decay"

    boundaries: Annotated[tuple[PositiveInt, ...], Strict(False), Field(min_length=1)]
    """The last step of each rate but the last."""

    values: Annotated[tuple[FinalRate, ...], Strict(False)]
    """The rates: one more than boundaries."""

    @model_validator(mode="after")
    def _boundaries_rise(self) -> Self:
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise ValueError(f"boundaries must rise, got {list(self.boundaries)}")
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values must be one more than boundaries, got {len(self.values)} values "
                f"and {len(self.boundaries)} boundaries"
            )
        return self

    def keras_arguments(self, num_steps: int) -> dict[str, Any]:
        """The fields, as lists."""
        return {"boundaries": list(self.boundaries), "values": list(self.values)}


class OwnSchedule(Schedule):
    """A schedule of yours."""

    name: Literal["custom"] = "custom"
    target: DottedName
    """The class, or the function that makes it, my_module.f; it gets num_steps if it takes that."""

    arguments: Arguments = Field(default={})
    """Its further arguments."""

    def keras_arguments(self, num_steps: int) -> dict[str, Any]:
        """The user's arguments, and the steps of the run."""
        return {"num_steps": num_steps, **self.arguments}

    def make(self, num_steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """The schedule, for `num_steps` steps.

        Raises `ConfigurationError` if it makes no schedule, or one that a saved model could not hold.
        """
        import keras

        from runner.models.savable import refuse_unloadable

        made = make(self.target, "train.learning_rate", self.arguments, {"num_steps": num_steps})
        if not isinstance(made, keras.optimizers.schedules.LearningRateSchedule):
            raise ConfigurationError(
                f"train.learning_rate.target={self.target} must make a "
                f"keras.optimizers.schedules.LearningRateSchedule, got {kind_of(made)}"
            )
        refuse_unloadable(made, f"train.learning_rate.target={self.target}", module_of(self.target), self.arguments)
        return made


AnySchedule = Annotated[
    CosineDecay
    | CosineDecayRestarts
    | ExponentialDecay
    | InverseTimeDecay
    | PiecewiseConstantDecay
    | PolynomialDecay
    | OwnSchedule,
    Field(discriminator="name"),
]


def _form(value: Any) -> str:
    return "schedule" if isinstance(value, dict | Schedule) else "constant"


# Chosen by form, so that a mistake in one of them is not also reported as a mistake in the other.
AnyLearningRate = Annotated[
    Annotated[Rate, Tag("constant")] | Annotated[AnySchedule, Tag("schedule")],
    Discriminator(_form),
    BeforeValidator(own_target),
]
