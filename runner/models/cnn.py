"""`model=cnn`: a small convolutional network for images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, Strict

from runner.component import Fraction, PositiveInt
from runner.errors import DataError
from runner.models.base import ModelSettings, Task

if TYPE_CHECKING:
    import keras


class CNN(ModelSettings):
    """Blocks of two convolutions and pooling, then a dense layer."""

    kind: Literal["cnn"] = "cnn"

    filters: Annotated[tuple[PositiveInt, ...], Strict(False), Field(min_length=1)] = (32, 64)
    """Filters of each block; each block halves height and width."""

    dense_units: PositiveInt = 128
    """Units of the dense layer before the output."""

    dropout: Fraction = 0.3
    """Share of the dense layer's units dropped while training."""

    def build(self, task: Task) -> keras.Model:
        """The blocks, then the dense layer, then the outputs.

        Samples have shape `(height, width, channels)`, or `(height, width)` for one channel.
        """
        import keras

        from runner.models.layers import model_of
        from runner.models.scaling import scaled_input

        inputs, x = scaled_input(task.spec, task.scaling)
        x = self._as_image(x, task.spec.shape)
        for filters in self.filters:
            x = self._block(x, filters)
        x = keras.layers.Flatten()(x)
        x = keras.layers.Dense(self.dense_units, activation="relu")(x)
        if self.dropout:
            x = keras.layers.Dropout(self.dropout)(x)
        return model_of(inputs, x, task)

    def _as_image(self, x: Any, shape: tuple[int, ...]) -> Any:
        import keras

        if len(shape) not in (2, 3):
            raise DataError(
                f"model=cnn needs samples of shape (height, width, channels), got {shape}; choose model=mlp"
            )
        if min(shape[:2]) < 2 ** len(self.filters):
            raise DataError(
                f"model.filters={list(self.filters)} halves height and width {len(self.filters)} times, too often for "
                f"samples of {shape[0]}×{shape[1]}; give fewer filters or a larger data.target_size"
            )
        return keras.layers.Reshape((*shape, 1))(x) if len(shape) == 2 else x

    def _block(self, x: Any, filters: int) -> Any:
        import keras

        for _ in range(2):
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return keras.layers.MaxPooling2D(2)(x)
