"""The whole configuration as one checked model: what YAML and command line may say."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from runner.components import Component
from runner.loaders.directory_flow import DirectoryFlow
from runner.loaders.generator import Generator
from runner.loaders.in_memory import InMemory
from runner.loaders.sequence import Sequence
from runner.models.application import Application
from runner.models.cnn import CNN
from runner.models.cnn3d import CNN3D
from runner.models.mlp import MLP
from runner.sources.arrays import Arrays
from runner.sources.digits import Digits
from runner.sources.directory import Directory
from runner.stages.settings import Train

AnyData = Annotated[Digits | Directory | Arrays, Field(discriminator="kind")]
AnyLoader = Annotated[InMemory | Generator | Sequence | DirectoryFlow, Field(discriminator="kind")]
AnyModel = Annotated[MLP | CNN | CNN3D | Application, Field(discriminator="kind")]


class Settings(Component):
    """A run: which data, read how, by which model, trained how."""

    mode: Literal["run", "fit"] = "run"
    """What to do: `run` fits, evaluates and predicts; `fit` only fits."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of everything random: initial weights, dropout, order of the samples."""

    deterministic: bool = True
    """Whether the backend must use operations that give the same bits every time."""

    backend: Literal["tensorflow", "jax"] = "tensorflow"
    """The framework Keras computes with."""

    data: AnyData
    """Where the samples come from."""

    loader: AnyLoader
    """How they reach the model."""

    model: AnyModel
    """What is trained."""

    train: Train
    """How it is trained."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.loader.kind == "directory_flow" and self.data.kind == "arrays":
            raise ValueError(
                "loader=directory_flow must read from files, got data=arrays; "
                "choose loader=in_memory, generator or sequence"
            )
        if self.backend == "tensorflow" and self.deterministic and self.train.jit_compile is True:
            raise ValueError(
                "train.jit_compile must be auto or false with deterministic=true on tensorflow, got true; "
                "Keras turns XLA off there: set deterministic=false"
            )
        return self
