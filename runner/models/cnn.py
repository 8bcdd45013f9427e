"""Small convolutional networks: `model=cnn` for images, `model=cnn3d` for volumes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, Strict

from runner.component import Fraction, PositiveInt
from runner.errors import DataError
from runner.messages import shape_text
from runner.models.base import ModelSettings, Task

if TYPE_CHECKING:
    import keras

Filters = Annotated[tuple[PositiveInt, ...], Strict(False), Field(min_length=1)]


class Convnet(ModelSettings):
    """Blocks that each halve every side of the sample, then a dense layer.

    A sample has one axis for each of `sides`, and one for its channels; the latter may be missing. If it has vectors as
    well, the dense layer gets them next to the features.
    """

    sides: ClassVar[tuple[str, ...]]
    otherwise: ClassVar[str]
    """The models to choose for samples of another shape, for the error message."""

    kind: str

    filters: Filters

    dense_units: PositiveInt

    dropout: Fraction = 0.3
    """Share of the dense layer's units dropped while training."""

    def build(self, task: Task) -> keras.Model:
        """The blocks, the dense layer and the outputs.

        Raises `DataError` for samples with other axes than `sides`, or too small to be halved by every block.
        """
        import keras

        from runner.models.layers import beside, model_of, scaled_input

        name, spec = task.main_input(self.kind, lambda shape: len(shape) in (len(self.sides), len(self.sides) + 1))
        self._refuse(spec.shape)
        inputs, scaled = scaled_input(task.spec, task.scaling)
        x = scaled[name] if name else scaled
        if len(spec.shape) == len(self.sides):
            x = keras.layers.Reshape((*spec.shape, 1))(x)
        x = beside(self.features(x), scaled, name)
        x = keras.layers.Dense(self.dense_units, activation="relu")(x)
        if self.dropout:
            x = keras.layers.Dropout(self.dropout)(x)
        return model_of(inputs, x, task)

    @abstractmethod
    def features(self, x: Any) -> Any:
        """The output of the blocks over samples `x`, shape `(batch, n)`; every block halves each side."""

    def _refuse(self, shape: tuple[int, ...]) -> None:
        sides, times = self.sides, len(self.filters)
        if len(shape) not in (len(sides), len(sides) + 1):
            raise DataError(
                f"model={self.kind} needs samples of shape ({', '.join(sides)}, channels), got {shape}; "
                f"choose {self.otherwise}"
            )
        lengths = shape[: len(sides)]
        if min(lengths) < 2**times:
            raise DataError(
                f"model.filters={list(self.filters)} halves {', '.join(sides[:-1])} and {sides[-1]} {times} times, "
                f"too often for samples of {shape_text(lengths)}; give fewer filters or larger samples "
                "(for images: data.target_size)"
            )


class CNN(Convnet):
    """Blocks of two convolutions and pooling, then a dense layer."""

    sides = ("height", "width")
    otherwise = "model=cnn3d for volumes, or model=mlp for any other shape"

    kind: Literal["cnn"] = "cnn"

    filters: Filters = (32, 64)
    """Filters of each block; each block halves height and width."""

    dense_units: PositiveInt = 128
    """Units of the dense layer before the output."""

    def features(self, x: Any) -> Any:
        """All values of the last block's feature maps."""
        import keras

        for filters in self.filters:
            for _ in range(2):
                x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
            x = keras.layers.MaxPooling2D(2)(x)
        return keras.layers.Flatten()(x)


class CNN3D(Convnet):
    """Blocks of convolution, pooling and batch normalisation, then a dense layer.

    The shape of Keras's example of classifying CT scans (keras.io/examples/vision/3D_image_classification).
    """

    sides = ("depth", "height", "width")
    otherwise = "model=cnn for images, or model=mlp for any other shape"

    kind: Literal["cnn3d"] = "cnn3d"

    filters: Filters = (16, 32, 64)
    """Filters of each block; each block halves depth, height and width."""

    dense_units: PositiveInt = 64
    """Units of the dense layer before the output."""

    def features(self, x: Any) -> Any:
        """The mean of each of the last block's feature maps."""
        import keras

        for filters in self.filters:
            x = keras.layers.Conv3D(filters, 3, padding="same", activation="relu")(x)
            x = keras.layers.MaxPooling3D(2)(x)
            x = keras.layers.BatchNormalization()(x)
        return keras.layers.GlobalAveragePooling3D()(x)
