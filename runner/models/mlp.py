"""`model=mlp`: a multilayer perceptron over the flattened sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, Strict

from runner.components import Fraction, PositiveInt
from runner.models.settings import ModelSettings

if TYPE_CHECKING:
    import keras

    from runner.models.outputs import Outputs
    from runner.samples import ArraySpec


class MLP(ModelSettings):
    """Dense layers over the flattened sample, for arrays of any shape."""

    kind: Literal["mlp"] = "mlp"

    hidden_units: Annotated[tuple[PositiveInt, ...], Strict(False), Field(min_length=1)] = (128,)
    """Units of each hidden layer."""

    dropout: Fraction = 0.0
    """Share of the last hidden layer's units dropped while training."""

    def build(self, spec: ArraySpec, outputs: Outputs) -> keras.Model:  # noqa: D102
        raise NotImplementedError
