"""The base of all models, and the task that the data sets: an output with activation, loss and metrics per head."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from runner.batch import ArraySpec
from runner.component import Component
from runner.data.dataset import Dataset, Scale
from runner.data.labels import Head, target_fields
from runner.errors import DataError
from runner.fields import Layout, SampleSpec, input_spec, named_specs

if TYPE_CHECKING:
    import keras


DICE = "dice"
"""The loss of masks that are one-hot."""


@dataclass(frozen=True)
class Output:
    """One output of the model.

    `shape` is the output's, without the batch dimension; `activation`, `loss` and `metrics` are Keras's identifiers.
    A `reconstruction` predicts the sample itself, in the range its values have.
    """

    name: str
    shape: tuple[int, ...]
    activation: str
    loss: str
    metrics: tuple[str, ...]
    num_classes: int = 0
    """The number of classes; 0 for an output without classes."""
    reconstruction: bool = False
    ignored: int | None = None
    """The code in `y` of pixels that count neither in the loss nor in metrics."""
    mode: str = "raw"
    """The class mode of its labels."""
    names: tuple[str, ...] = ()
    """The names of its classes, or of the numbers that it predicts."""

    @property
    def units(self) -> int:
        """Values per sample."""
        return math.prod(self.shape)

    @property
    def is_mask(self) -> bool:
        """Whether the output has a class for each pixel: probabilities of shape `(height, width, num_classes)`."""
        return self.num_classes > 0 and len(self.shape) > 1


def output_of(head: Head, target_shape: tuple[int, ...]) -> Output:
    """The output that predicts `head`; `target_shape` is that of a mask or a reconstruction."""
    output = _output_of(head, target_shape)
    return replace(output, mode=head.mode, names=head.class_names or head.value_names)


def _output_of(head: Head, target_shape: tuple[int, ...]) -> Output:
    name, num_classes = head.name or "label", len(head.class_names)
    match head.mode:
        case "categorical":
            return Output(name, (num_classes,), "softmax", "categorical_crossentropy", ("accuracy",), num_classes)
        case "sparse":
            return Output(
                name, (num_classes,), "softmax", "sparse_categorical_crossentropy", ("accuracy",), num_classes
            )
        case "binary":
            return Output(name, (1,), "sigmoid", "binary_crossentropy", ("accuracy",), num_classes)
        case "multi_label":
            return Output(name, (num_classes,), "sigmoid", "binary_crossentropy", ("binary_accuracy",), num_classes)
        case "raw":
            shape = head.shape or (max(1, len(head.value_names)),)
            return Output(name, shape, "linear", "mean_squared_error", ("mean_absolute_error",))
        case "input":
            loss, metrics = "mean_squared_error", ("mean_absolute_error",)
            return Output(name, target_shape, "linear", loss, metrics, reconstruction=True)
        case "mask":
            shape, loss = (*target_shape, num_classes), "sparse_categorical_crossentropy"
            return Output(name, shape, "softmax", loss, ("mean_iou",), num_classes, ignored=head.ignored)


def outputs_of(heads: Iterable[Head], spec: SampleSpec) -> tuple[Output, ...]:
    """The outputs that predict `heads`, for samples of `spec`, with or without their targets.

    Raises `DataError` for the reconstruction of a sample of several arrays.
    """
    heads = tuple(heads)
    if isinstance(spec, Layout) and any(head.mode == "input" for head in heads):
        raise DataError(
            f"data.class_mode=input predicts the sample, which must be one array, got {spec}; set another class_mode"
        )
    return tuple(output_of(head, _target_shape(head, dict(named_specs(spec)))) for head in heads)


def _target_shape(head: Head, specs: Mapping[str, ArraySpec]) -> tuple[int, ...]:
    """The shape of a mask is that of the image, as a sample without a mask can be predicted as well."""
    if head.mode == "mask":
        image = specs.get(head.field) or next((one for one in specs.values() if len(one.shape) > 1), None)
        return image.shape[:2] if image else ()
    return next(iter(specs.values())).shape


Scaling = Literal["none", "unit", "signed", "torch", "caffe", "builtin"]
"""How the model scales its input: `torch` and `caffe` as in `keras.applications`; with `builtin`, the network scales
by itself."""

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
JitCompile = Literal["auto"] | bool


@dataclass(frozen=True)
class Task:
    """The task of a model: its input are samples of `spec`, scaled as `scaling` says; its outputs are `outputs`.

    Of several arrays only those of 8 bits are scaled.
    """

    spec: SampleSpec
    scaling: Scaling
    outputs: tuple[Output, ...]

    def main_input(
        self,
        kind: str,
        fits: Callable[[tuple[int, ...]], bool],
        otherwise: str = "model=mlp, which flattens all arrays, or model=custom",
    ) -> tuple[str, ArraySpec]:
        """Name and spec of the array for the network of `model=kind`: the only one whose shape `fits`.

        A single array has no name, and is taken as it is. The other ones of several must be vectors. Raises `DataError`
        if several arrays are not like that.
        """
        specs = named_specs(self.spec)
        fitting = [(name, spec) for name, spec in specs if fits(spec.shape)]
        if not isinstance(self.spec, Layout):
            return specs[0]
        if len(fitting) != 1 or any(len(spec.shape) > 1 for name, spec in specs if name != fitting[0][0]):
            raise DataError(
                f"model={kind} takes one array for its layers and any number of vectors, got {self.spec}; choose "
                f"{otherwise}"
            )
        return fitting[0]


@dataclass(frozen=True)
class WeightsFile:
    """A file of initial weights, and the URL that it comes from if it was chosen by name."""

    file: Path
    url: str | None = None


class ModelSettings(Component):
    """The settings of a model; its input and outputs follow from the data."""

    kind: str

    predicts_masks: ClassVar[bool | None] = False
    """Whether outputs are masks; None: masks and anything else."""

    def automatic_scaling(self, spec: SampleSpec) -> Scaling:
        """The scaling of `data.scale=auto` for samples of `spec`: `unit` for 8-bit samples, else `none`."""
        return "unit" if any(one.dtype == "uint8" for _, one in named_specs(spec)) else "none"

    def with_losses(self, outputs: tuple[Output, ...]) -> tuple[Output, ...]:
        """The outputs with the losses that the settings choose."""
        return outputs

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The keys whose paths do not exist, with those paths."""
        return iter(())

    def initial_weights(self, task: Task) -> WeightsFile | None:
        """The file that `build` loads weights from; None if they are random. It is downloaded if it has to be."""

    def fetch_weights(self, size: tuple[int, int] | None) -> None:
        """Download the initial weights for images of `size` (height, width), if they have to be.

        Raises `ConfigurationError` if they cannot be.
        """

    @property
    def fetches_weights(self) -> bool:
        """Whether the initial weights are chosen by name."""
        return False

    def without_initial_weights(self) -> Self:
        """The settings of the same model whose weights come from elsewhere: `build` reads no file."""
        return self

    def import_code(self) -> None:
        """Import the user's own code that a saved model of this kind may need."""

    def refuse_unsavable(self, model: keras.Model) -> None:
        """Raise `ConfigurationError` if the compiled model could not be loaded from its file; only yours could not."""

    @abstractmethod
    def build(self, task: Task) -> keras.Model:
        """The model for `task`, not compiled. Raises `DataError` if this kind cannot take samples of that shape."""


def refuse_shared_columns(outputs: tuple[Output, ...]) -> None:
    """Raise `DataError` if two values of several `outputs` would have the same name in metrics.csv.

    Keras puts the name of an output before those of its loss and metrics, and `val_` before all of them in validation.
    """
    owners: dict[str, str] = {"loss": "the model", "val_loss": "the model"}
    # Names with val last, to name the one that is to change.
    for output in sorted(outputs, key=lambda one: one.name.startswith("val")) if len(outputs) > 1 else ():
        for column in (f"{output.name}_{metric}" for metric in ("loss", *output.metrics)):
            for name in (column, f"val_{column}"):
                if (owner := owners.setdefault(name, output.name)) != output.name:
                    raise DataError(
                        f"outputs must have names whose metrics differ, got {output.name}, with the metric {name}, "
                        f"which {owner} has as well; rename the column or key of {output.name}"
                    )


def task_of(dataset: Dataset, scale: Scale, model: ModelSettings) -> Task:
    """The task of `dataset`; `model` decides the scaling of `scale=auto`.

    Raises `DataError` as `outputs_of`, if the model predicts masks and the data has none, or the other way round, and
    if two of its outputs would share a column of metrics.csv.
    """
    outputs = outputs_of(dataset.heads, dataset.spec)
    _refuse_other_outputs(model, outputs)
    spec = input_spec(dataset.spec, target_fields(dataset.heads))
    refuse_shared_columns(outputs)
    return Task(spec, model.automatic_scaling(spec) if scale == "auto" else scale, model.with_losses(outputs))


def _refuse_other_outputs(model: ModelSettings, outputs: tuple[Output, ...]) -> None:
    if model.predicts_masks is None or not outputs:
        return
    masks = [output.name for output in outputs if output.is_mask]
    if model.predicts_masks and [output.name for output in outputs] != masks[:1]:
        got = f"data with the outputs {', '.join(output.name for output in outputs)}" if masks else "data without masks"
        raise DataError(
            f"model={model.kind} predicts one mask per sample (class_mode=mask), got {got}; choose "
            f"{'model=custom' if masks else 'model=cnn for images, or model=mlp for any other array'}"
        )
    if masks and not model.predicts_masks:
        raise DataError(
            f"model={model.kind} predicts values of a whole sample, got class_mode=mask, a class for each pixel; "
            "choose model=unet, or model=custom"
        )
