"""Keras's optimizers and their own arguments: `train.optimizer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, Strict, model_validator

from runner.component import Arguments, Component, DottedName, Fraction, PositiveInt
from runner.errors import ConfigurationError
from runner.models.parts import own_target
from runner.user_code import kind_of, make, module_of

if TYPE_CHECKING:
    import keras

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
WeightDecay = Annotated[
    NonNegative | None,
    Field(description="Share of each weight that every update subtracts, times the learning rate; null: none."),
]
Beta1 = Annotated[Fraction, Field(description="Decay rate of the mean of the gradients.")]
Beta2 = Annotated[Fraction, Field(description="Decay rate of the mean of the squared gradients.")]
Epsilon = Annotated[Positive, Field(description="A small number that prevents division by zero.")]
Accumulator = Annotated[NonNegative, Field(description="Initial value of the sums of squared gradients.")]
Amsgrad = Annotated[bool, Field(description="Whether the mean of squared gradients never decreases.")]
Nesterov = Annotated[bool, Field(description="Whether the momentum is Nesterov's.")]


class Optimizer(Component):
    """The arguments that all optimizers of Keras share; a subclass has the name of its Keras class."""

    name: str

    weight_decay: WeightDecay = None

    clipnorm: Positive | None = None
    """The largest norm of each weight's gradient; null: any."""

    global_clipnorm: Positive | None = None
    """The largest norm of all gradients together; null: any."""

    clipvalue: Positive | None = None
    """The largest value in a gradient; null: any."""

    use_ema: bool = False
    """Whether the model ends with moving averages of its weights; validation and checkpoints see the weights."""

    ema_momentum: Annotated[float, Field(ge=0, le=1)] = 0.99
    """Share of the old average in the new one."""

    ema_overwrite_frequency: PositiveInt | None = None
    """Steps after which the averages replace the weights; null: only at the end of the run."""

    gradient_accumulation_steps: Annotated[int, Field(ge=2)] | None = None
    """Steps whose gradients are averaged into one update; null: every step updates."""

    @model_validator(mode="after")
    def _one_way_of_clipping(self) -> Self:
        ways = ("clipnorm", "global_clipnorm", "clipvalue")
        if len(given := [way for way in ways if getattr(self, way) is not None]) > 1:
            raise ValueError(
                f"{given[0]} must be the only one of {', '.join(ways)}, got {' and '.join(given[1:])} as well"
            )
        return self

    def build(self, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule) -> keras.Optimizer:
        """The optimizer, with this learning rate."""
        import keras

        made = getattr(keras.optimizers, type(self).__name__)
        return made(learning_rate=learning_rate, **self.model_dump(exclude={"name"}))


class SGD(Optimizer):
    """Gradient descent, with momentum."""

    name: Literal["sgd"] = "sgd"
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the last update in the next."""

    nesterov: Nesterov = False


class RMSprop(Optimizer):
    """Gradients divided by the root of their mean square."""

    name: Literal["rmsprop"] = "rmsprop"
    rho: Fraction = 0.9
    """Decay rate of the mean of the squared gradients."""

    momentum: NonNegative = 0.0
    """Share of the last update in the next."""

    epsilon: Epsilon = 1e-7
    centered: bool = False
    """Whether gradients are divided by their variance instead of their mean square."""


class Adam(Optimizer):
    """Adaptive moments."""

    name: Literal["adam"] = "adam"
    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7
    amsgrad: Amsgrad = False


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = "adamw"
    weight_decay: WeightDecay = 0.004
    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7
    amsgrad: Amsgrad = False


class Adamax(Optimizer):
    """Adam over the infinity norm."""

    name: Literal["adamax"] = "adamax"
    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7


class Nadam(Optimizer):
    """Adam with Nesterov momentum."""

    name: Literal["nadam"] = "nadam"
    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7


class Lamb(Optimizer):
    """Adam scaled layer by layer, for large batches."""

    name: Literal["lamb"] = "lamb"
    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7


class Lion(Optimizer):
    """The sign of the momentum only."""

    name: Literal["lion"] = "lion"
    beta_1: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the momentum in the sign."""

    beta_2: Beta2 = 0.99


class Adadelta(Optimizer):
    """Rates adapted over a moving window of gradients."""

    name: Literal["adadelta"] = "adadelta"
    rho: Fraction = 0.95
    """Decay rate of the mean of the squared gradients."""

    epsilon: Epsilon = 1e-7


class Adagrad(Optimizer):
    """Rates adapted to how often a weight is updated."""

    name: Literal["adagrad"] = "adagrad"
    initial_accumulator_value: Accumulator = 0.1
    epsilon: Epsilon = 1e-7


class Adafactor(Optimizer):
    """Adam with less memory."""

    name: Literal["adafactor"] = "adafactor"
    beta_2_decay: Annotated[float, Field(lt=0)] = -0.8
    """The exponent of the step in the decay rate of the mean of squared gradients."""

    epsilon_1: Positive = 1e-30
    """The smallest squared gradient."""

    epsilon_2: Positive = 1e-3
    """The smallest size of a weight for a relative step."""

    clip_threshold: Positive = 1.0
    """The largest root mean square of an update."""

    relative_step: bool = True
    """Whether the learning rate decreases with the steps."""


class Ftrl(Optimizer):
    """Follow the regularised leader."""

    name: Literal["ftrl"] = "ftrl"
    learning_rate_power: Annotated[float, Field(le=0)] = -0.5
    """The exponent of the sums of squares in the learning rate; 0: a constant rate."""

    initial_accumulator_value: Accumulator = 0.1
    l1_regularization_strength: NonNegative = 0.0
    """Weight of the absolute values in the loss."""

    l2_regularization_strength: NonNegative = 0.0
    """Weight of the squares in the loss, as a penalty that stabilises."""

    l2_shrinkage_regularization_strength: NonNegative = 0.0
    """Weight of the squares in the loss, as a penalty on size."""

    beta: NonNegative = 0.0
    """The beta of the paper."""


class Muon(Optimizer):
    """Orthogonalised momentum for matrices, AdamW for all other weights."""

    name: Literal["muon"] = "muon"
    weight_decay: WeightDecay = 0.004
    adam_beta_1: Beta1 = 0.9
    adam_beta_2: Beta2 = 0.999
    adam_weight_decay: NonNegative | None = 0.004
    """Weight decay of the weights that AdamW trains."""

    adam_lr_ratio: Positive = 1
    """Learning rate of AdamW, as a multiple of Muon's."""

    epsilon: Epsilon = 1e-7
    exclude_layers: Annotated[tuple[str, ...], Strict(False)] | None = None
    """Names of layers that AdamW trains too."""

    exclude_embeddings: bool = True
    """Whether AdamW trains embeddings."""

    muon_a: float = 3.4445
    """First coefficient of the Newton-Schulz iteration."""

    muon_b: float = -4.775
    """Second coefficient of the Newton-Schulz iteration."""

    muon_c: float = 2.0315
    """Third coefficient of the Newton-Schulz iteration."""

    momentum: Fraction = 0.95
    """Share of the last update in the next."""

    nesterov: Nesterov = True
    ns_steps: PositiveInt = 5
    """Rounds of the Newton-Schulz iteration."""

    rms_rate: Positive | None = 0.2
    """The root mean square that updates are scaled to; null: no scaling."""


class OwnOptimizer(Component):
    """An optimizer of yours."""

    name: Literal["custom"] = "custom"
    target: DottedName
    """The class, or the function that makes it, my_module.f; it gets learning_rate."""

    arguments: Arguments = Field(default={})
    """Its further arguments."""

    def build(self, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule) -> keras.Optimizer:
        """The optimizer, with this learning rate.

        Raises `ConfigurationError` if it makes no optimizer, or one that a saved model could not hold.
        """
        import keras

        from runner.models.savable import refuse_unloadable

        given = {"learning_rate": learning_rate, **self.arguments}
        made = make(self.target, "train.optimizer", given)
        if not isinstance(made, keras.Optimizer):
            raise ConfigurationError(
                f"train.optimizer.target={self.target} must make a keras.Optimizer, got {kind_of(made)}"
            )
        refuse_unloadable(made, f"train.optimizer.target={self.target}", module_of(self.target), self.arguments)
        return made


def _named(value: Any) -> Any:
    # Without a name it is Adam, so that `train.optimizer.weight_decay=0.01` needs no name.
    return {"name": "adam", **value} if isinstance(value, dict) and "name" not in value else own_target(value)


AnyOptimizer = Annotated[
    SGD
    | RMSprop
    | Adam
    | AdamW
    | Adamax
    | Nadam
    | Lamb
    | Lion
    | Adadelta
    | Adagrad
    | Adafactor
    | Ftrl
    | Muon
    | OwnOptimizer,
    Field(discriminator="name"),
    BeforeValidator(_named),
]
