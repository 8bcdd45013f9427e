"""The base of every model component."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runner.batch import ArraySpec
from runner.component import Component
from runner.data.dataset import Dataset, Scale
from runner.models.outputs import Output, output_of

if TYPE_CHECKING:
    import keras


Scaling = Literal["none", "unit", "signed", "torch", "caffe", "builtin"]
"""What the model does to its input first; `torch` and `caffe` as `keras.applications` has them, `builtin`: the network
scales by itself."""

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
JitCompile = Literal["auto"] | bool


@dataclass(frozen=True)
class Task:
    """What the data asks of a model: samples of `spec`, scaled as `scaling` says, in; `outputs` out."""

    spec: ArraySpec
    scaling: Scaling
    outputs: tuple[Output, ...]


class ModelSettings(Component):
    """A model's own settings; input and outputs follow from the data."""

    def automatic_scaling(self, spec: ArraySpec) -> Scaling:
        """What `data.scale=auto` means for samples of `spec`: `unit` for 8-bit samples, `none` for all others."""
        return "unit" if spec.dtype == "uint8" else "none"

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The keys whose paths do not exist, with those paths."""
        return iter(())

    def import_code(self) -> None:
        """Import the user's own code that a saved model of this kind may be made of."""

    @abstractmethod
    def build(self, task: Task) -> keras.Model:
        """The model for `task`, not compiled.

        Raises `DataError` if this kind cannot take samples of that shape.
        """


def task_of(dataset: Dataset, scale: Scale, model: ModelSettings) -> Task:
    """The task that `dataset` sets to `model`, which says what `scale=auto` is."""
    spec = dataset.spec
    outputs = tuple(output_of(head, spec.shape) for head in dataset.heads)
    return Task(spec, model.automatic_scaling(spec) if scale == "auto" else scale, outputs)
