"""`model=cnn`: a small convolutional network for images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, Strict

from runner.components import Fraction, PositiveInt
from runner.models.settings import ModelSettings

if TYPE_CHECKING:
    import keras

    from runner.models.outputs import Outputs
    from runner.samples import ArraySpec


class CNN(ModelSettings):
    """Blocks of convolution and pooling, then a dense layer."""

    kind: Literal["cnn"] = "cnn"

    filters: Annotated[tuple[PositiveInt, ...], Strict(False), Field(min_length=1)] = (32, 64)
    """Filters of each block; every block but the first halves height and width."""

    dense_units: PositiveInt = 128
    """Units of the dense layer before the output."""

    dropout: Fraction = 0.2
    """Share of the dense layer's units dropped while training."""

    def build(self, spec: ArraySpec, outputs: Outputs) -> keras.Model:  # noqa: D102
        raise NotImplementedError
