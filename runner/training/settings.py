"""The settings of training, `train`, and of models in use, `predict` and `export`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from runner.component import Component, Count, Fraction, Package, PositiveInt
from runner.models.base import JitCompile, Precision
from runner.models.optimizers import Adam, AnyOptimizer, Optimizer, OwnOptimizer
from runner.models.parts import (
    KNOWN_LOSSES,
    KNOWN_METRICS,
    AnyLoss,
    AnyMetrics,
    PartList,
    parts_of,
    unknown_callback,
    unknown_name,
)
from runner.models.schedules import AnyLearningRate, OwnSchedule, Schedule
from runner.training.phase_settings import (
    OF_TRAIN,
    ClassWeights,
    EarlyStoppingSettings,
    Phase,
    with_sum_of_epochs,
)
from runner.user_code import import_code

if TYPE_CHECKING:
    import keras


class ReduceLROnPlateauSettings(Component):
    """When to lower the learning rate, as in `keras.callbacks.ReduceLROnPlateau`."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Factor by which the learning rate is multiplied."""

    patience: Count = 10
    """Epochs without improvement before the rate is lowered; only epochs that have the value count."""

    min_delta: Annotated[float, Field(ge=0)] = 0.0001
    """The smallest change that counts as an improvement."""

    cooldown: Count = 0
    """Epochs after a reduction that do not count as epochs without improvement."""

    min_lr: Annotated[float, Field(ge=0)] = 0.0
    """The lowest learning rate."""


class CheckpointEvery(Component):
    """When to write a state for `resume`: at whichever interval comes first, and always at the end."""

    seconds: Annotated[float, Field(gt=0)] | None = 60.0
    """Seconds between two states; null: no limit in seconds."""

    steps: PositiveInt | None = None
    """Steps between two states; null: no limit in steps."""

    epochs: PositiveInt | None = None
    """Epochs between two states; null: no limit in epochs."""

    def is_due(self, step: int, seconds: float, *, steps_per_epoch: int) -> bool:
        """Whether a state is due after `step` steps, `seconds` after the last state."""
        if self.seconds is not None and seconds >= self.seconds:
            return True
        intervals = (self.steps, self.epochs and self.epochs * steps_per_epoch)
        return any(interval and step % interval == 0 for interval in intervals)


OF_COMPILING = ("phases", "loss", "label_smoothing", "metrics", "optimizer", "learning_rate", "jit_compile")
"""Keys that only a model that is not compiled yet takes."""


class Train(Component):
    """How the model is fitted."""

    epochs: PositiveInt = 10
    """Epochs to train, as Keras counts them; with phases, the sum of theirs."""

    phases: Annotated[tuple[Phase, ...], Strict(False)] = ()
    """Parts of the training, one after the other: [{epochs: 3, trainable: false}, {epochs: 10, trainable: 40}]. Each
    may change trainable (the layers before the outputs, all or the last of them), learning_rate, optimizer,
    class_weight, early_stopping, augment and freeze_batch_norm; empty: one part."""

    steps_per_epoch: PositiveInt | None = None
    """Steps between two reports; null: one pass over the data. No sample is skipped or repeated."""

    loss: AnyLoss | None = None
    """The loss: its name in Keras, with arguments as in {name: huber, delta: 2.0}, or my_module.f of yours; of several
    outputs one for each by name. null: that of the class mode."""

    label_smoothing: Fraction = 0.0
    """Share of each label that is spread over all classes, in losses that have it."""

    metrics: AnyMetrics | None = None
    """Metrics in place of those of the class mode: [accuracy, auc, {name: top_k_categorical_accuracy, k: 5}], or
    my_module.f of yours; of several outputs by name. null: those of the class mode."""

    optimizer: AnyOptimizer = Adam()
    """The optimizer: its name, and arguments as in Keras; or my_module.f of yours."""

    learning_rate: AnyLearningRate = 0.001
    """The learning rate: a number; or a schedule with its name, and arguments as in Keras; or my_module.f of yours."""

    reduce_lr_on_plateau: ReduceLROnPlateauSettings | None = None
    """Lower the learning rate once the monitored value stops improving; null: never."""

    class_weight: ClassWeights = None
    """Weights of classes in the loss, by class name (others: 1); balanced: rarer classes weigh more. Of masks, each
    pixel has the weight of its class, and balanced reads all training masks once to count them."""

    precision: Precision = "float32"
    """The precision that layers compute in; weights and outputs are always float32."""

    jit_compile: JitCompile = "auto"
    """Whether XLA compiles the training step; auto: Keras decides, but never on TensorFlow with deterministic=true."""

    monitor: str = "auto"
    """The value that decides the best epoch, for checkpoints and early stopping; auto: val_loss, else loss."""

    monitor_mode: Literal["auto", "min", "max"] = "auto"
    """Whether lower (min) or higher (max) values of it are better; auto: as its metric says, else its name."""

    validation_every: PositiveInt = 1
    """Epochs between two validations; the last epoch is always validated."""

    early_stopping: EarlyStoppingSettings | None = None
    """Stop once the monitored value stops improving; null: train all epochs."""

    terminate_on_nan: bool = True
    """Whether a loss or weights that are NaN or infinite end the run at once, with an error that names the batch or
    epoch; false: only weights, at the end of training."""

    callbacks: PartList = ()
    """Callbacks of yours: my_module.MyCallback, or {name: my_module.MyCallback, arguments: {…}}; and some of Keras's by
    their names. They run before checkpoints are written."""

    checkpoint_every: CheckpointEvery = CheckpointEvery()
    """When to write a state for `resume`: a crash costs at most the training since the last state."""

    @model_validator(mode="before")
    @classmethod
    def _epochs_add_up(cls, value: Any) -> Any:
        return with_sum_of_epochs(value)

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        if self.phases and (total := sum(phase.epochs for phase in self.phases)) != self.epochs:
            raise ValueError(
                f"epochs must be left out with train.phases, whose epochs add up to {total}, got {self.epochs}; "
                "remove it, or change the epochs of a phase"
            )
        for number, settings in enumerate(self.each() if self.phases else ()):
            if isinstance(settings.optimizer, Optimizer) and settings.optimizer.use_ema:
                raise ValueError(
                    "phases must be left out with use_ema=true of an optimizer, got both: each phase has a new "
                    "optimizer, to which averages of the weights are not carried over; leave one of them out"
                )
            if settings.reduce_lr_on_plateau and isinstance(settings.learning_rate, Schedule):
                raise ValueError(
                    f"phases[{number}] must have a number for its learning rate with train.reduce_lr_on_plateau, got "
                    f"the schedule {settings.describe_rate()}; leave one of them out"
                )
        return self

    @model_validator(mode="after")
    def _one_owner_of_the_rate(self) -> Self:
        if self.reduce_lr_on_plateau and isinstance(self.learning_rate, Schedule):
            raise ValueError(
                "reduce_lr_on_plateau must be null with a learning-rate schedule, got both; "
                "give learning_rate as a number"
            )
        return self

    @model_validator(mode="after")
    def _parts_are_known(self) -> Self:
        problems = [
            problem
            for key, known in (("loss", KNOWN_LOSSES), ("metrics", KNOWN_METRICS))
            for name, part in parts_of(getattr(self, key), key)
            if (problem := unknown_name(part, name, known)) is not None
        ]
        problems += [problem for part in self.callbacks if (problem := unknown_callback(part)) is not None]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def names(self) -> Iterator[tuple[str, str]]:
        """The keys that name the user's own code, and these names."""
        for key in ("loss", "metrics", "callbacks"):
            yield from ((name, part.name) for name, part in parts_of(getattr(self, key), key) if part.is_own)
        phases = (
            (f"phases[{number}].", phase.optimizer, phase.learning_rate) for number, phase in enumerate(self.phases)
        )
        for prefix, optimizer, rate in (("", self.optimizer, self.learning_rate), *phases):
            for key, component in (("optimizer", optimizer), ("learning_rate", rate)):
                if isinstance(component, OwnOptimizer | OwnSchedule):
                    yield f"{prefix}{key}.target", component.target

    def each(self) -> list[Self]:
        """The settings in each phase; without phases, these alone."""
        return [self.in_phase(number) for number in range(max(1, len(self.phases)))]

    def in_phase(self, number: int) -> Self:
        """The settings in phase `number`, counted from 0; the same ones if there are no phases."""
        if not self.phases:
            return self
        return self.model_copy(update={"phases": (), **self.phases[number].changes(*OF_TRAIN)})

    def import_code(self) -> None:
        """Import the modules of the user's own parts: a saved model may need what they register."""
        import_code(name for _, name in self.names())

    def without_effect(self, typed: Iterable[str], *, repeats: bool) -> list[str]:
        """The keys of compiling that the user has set, which change nothing in a model that is compiled already.

        `typed` are overrides of the command line. A run that `repeats` another one may have that run's values.
        """
        names = {text.lstrip("+~").partition("=")[0] for text in typed}
        default = type(self)()
        return [
            key
            for name in OF_COMPILING
            for key in [f"train.{name}"]
            if any(f"{each}.".startswith(f"{key}.") for each in names)
            or (not repeats and getattr(self, name) != getattr(default, name))
        ]

    def build_optimizer(self, num_steps: int, *, first_step: int = 0) -> keras.Optimizer:
        """The optimizer with its learning rate, for `num_steps` steps; a schedule begins at `first_step` of its own."""
        rate = self.learning_rate
        return self.optimizer.build(rate.build(num_steps, first_step) if isinstance(rate, Schedule) else rate)

    def describe_rate(self) -> str:
        """The learning rate, or the schedule's name, for the summary of a run."""
        rate = self.learning_rate
        if isinstance(rate, OwnSchedule):
            return rate.target
        return rate.name if isinstance(rate, Schedule) else f"{rate:g}"

    def describe_optimizer(self) -> str:
        """The optimizer's name, for the summary of a run."""
        return self.optimizer.target if isinstance(self.optimizer, OwnOptimizer) else self.optimizer.name


Format = Literal["onnx", "litert", "saved_model"]

NEEDED: dict[Format, tuple[str, ...]] = {
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
    "saved_model": (),
}
"""The packages that write a format, or read it for the proof."""


class Export(Component):
    """Keys of `mode=export`."""

    formats: Annotated[tuple[Format, ...], Strict(False), Field(min_length=1)] = ("saved_model",)
    """The formats to write: `onnx`, for ONNX Runtime; `litert`, for LiteRT on phones and small devices; `saved_model`,
    for TensorFlow Serving."""

    def packages(self) -> Iterator[Package]:
        """The optional packages of the formats."""
        for one in dict.fromkeys(self.formats):
            for name in NEEDED[one]:
                yield Package(f"export.formats=[{one}]", name, one, f"leave {one} out of export.formats")


class Predict(Component):
    """How predictions are written."""

    original_size: bool = False
    """Whether to enlarge each predicted mask to the size of its image as it is stored; false: as the model sees it."""
