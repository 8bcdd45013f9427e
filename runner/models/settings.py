"""The base of every model component."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.components import Component
from runner.models.outputs import Output, output_of
from runner.samples import ArraySpec
from runner.sources.data import Dataset, Scale

if TYPE_CHECKING:
    import keras


Scaling = Literal["none", "unit", "signed"]


@dataclass(frozen=True)
class Task:
    """What the data asks of a model: samples of `spec`, scaled as `scaling` says, in; `outputs` out."""

    spec: ArraySpec
    scaling: Scaling
    outputs: tuple[Output, ...]


def task_of(dataset: Dataset, scale: Scale) -> Task:
    """The task that `dataset` sets; `scale=auto` is `unit` for 8-bit samples and `none` for all others."""
    spec = dataset.spec
    automatic: Scaling = "unit" if spec.dtype == "uint8" else "none"
    outputs = tuple(output_of(head, spec.shape) for head in dataset.heads)
    return Task(spec, automatic if scale == "auto" else scale, outputs)


class ModelSettings(Component):
    """A model's own settings; input and outputs follow from the data."""

    @abstractmethod
    def build(self, task: Task) -> keras.Model:
        """The model for `task`, not compiled.

        Raises `DataError` if this kind cannot take samples of that shape.
        """
