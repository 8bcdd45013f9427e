"""`model=cnn`: a small convolutional network for images.

`model=cnn3d`: a small convolutional network for volumes.
"""

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

        from runner.models.layers import model_of, scaled_input

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


class CNN3D(ModelSettings):
    """Blocks of convolution, pooling and batch normalisation, then a dense layer.

    The shape of Keras's example of classifying CT scans (keras.io/examples/vision/3D_image_classification).
    """

    kind: Literal["cnn3d"] = "cnn3d"

    filters: Annotated[tuple[PositiveInt, ...], Strict(False), Field(min_length=1)] = (16, 32, 64)
    """Filters of each block; each block halves depth, height and width."""

    dense_units: PositiveInt = 64
    """Units of the dense layer before the output."""

    dropout: Fraction = 0.3
    """Share of the dense layer's units dropped while training."""

    def build(self, task: Task) -> keras.Model:
        """The blocks, averaged over the volume, then the dense layer, then the outputs.

        Samples have shape `(depth, height, width, channels)`, or `(depth, height, width)` for one channel.
        """
        import keras

        from runner.models.layers import model_of, scaled_input

        inputs, x = scaled_input(task.spec, task.scaling)
        x = self._as_volume(x, task.spec.shape)
        for filters in self.filters:
            x = keras.layers.Conv3D(filters, 3, padding="same", activation="relu")(x)
            x = keras.layers.MaxPooling3D(2)(x)
            x = keras.layers.BatchNormalization()(x)
        x = keras.layers.GlobalAveragePooling3D()(x)
        x = keras.layers.Dense(self.dense_units, activation="relu")(x)
        if self.dropout:
            x = keras.layers.Dropout(self.dropout)(x)
        return model_of(inputs, x, task)

    def _as_volume(self, x: Any, shape: tuple[int, ...]) -> Any:
        import keras

        if len(shape) not in (3, 4):
            raise DataError(
                f"model=cnn3d needs samples of shape (depth, height, width, channels), got {shape}; "
                "choose model=cnn for images and model=mlp for anything else"
            )
        if min(shape[:3]) < 2 ** len(self.filters):
            raise DataError(
                f"model.filters={list(self.filters)} halves depth, height and width {len(self.filters)} times, too "
                f"often for samples of {'×'.join(map(str, shape[:3]))}; give fewer filters or larger volumes"
            )
        return keras.layers.Reshape((*shape, 1))(x) if len(shape) == 3 else x
