"""`model=mlp`: a multilayer perceptron over the flattened sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, Strict

from runner.component import Fraction, PositiveInt
from runner.models.base import ModelSettings, Task

if TYPE_CHECKING:
    import keras


class MLP(ModelSettings):
    """Dense layers over the flattened sample, for arrays of any shape."""

    kind: Literal["mlp"] = "mlp"

    hidden_units: Annotated[tuple[PositiveInt, ...], Strict(False), Field(min_length=1)] = (128,)
    """Units of each hidden layer."""

    dropout: Fraction = 0.0
    """Share of the last hidden layer's units dropped while training."""

    def build(self, task: Task) -> keras.Model:
        """Flatten, then one dense layer with relu for each of `hidden_units`, then the outputs."""
        import keras

        from runner.models.layers import flattened, model_of, scaled_input

        inputs, x = scaled_input(task.spec, task.scaling)
        x = flattened(x)
        for units in self.hidden_units:
            x = keras.layers.Dense(units, activation="relu")(x)
        if self.dropout:
            x = keras.layers.Dropout(self.dropout)(x)
        return model_of(inputs, x, task)
