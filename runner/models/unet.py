"""`model=unet`: a U-Net, which predicts a class for each pixel."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from runner.batch import ArraySpec
from runner.component import PositiveInt
from runner.errors import DataError
from runner.messages import shape_text
from runner.models.base import DICE, ModelSettings, Output, Task

if TYPE_CHECKING:
    import keras

Norm = Literal["group", "batch", "none"]

MOST_GROUPS = 8
BATCH_MOMENTUM = 0.9
"""Keras's 0.99 needs thousands of steps before validation is any good: IoU 0.8 took 5 epochs, in place of 2."""


class UNet(ModelSettings):
    """A U-Net for masks: it halves the image `depth` times, and enlarges it again next to what it saw before.

    Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015. Images of any size and
    number of channels are padded inside the model, so that they can be halved. If a sample has vectors as well, the
    smallest feature maps get them as further channels.
    """

    predicts_masks = True

    kind: Literal["unet"] = "unet"

    depth: Annotated[int, Field(ge=1, le=8)] = 4
    """How often the image is halved."""

    filters: PositiveInt = 16
    """Filters of the first level; each level below has twice as many."""

    norm: Norm = "group"
    """Normalisation after each convolution: group suits batches of any size; batch; none."""

    loss: Literal["cross_entropy", "dice"] = "cross_entropy"
    """The loss: cross_entropy of each pixel that counts; or dice, 1 minus Dice's coefficient of each image and class,
    where classes are rare: ignored pixels are then 0 for all classes, and train.class_weight has no meaning."""

    def with_losses(self, outputs: tuple[Output, ...]) -> tuple[Output, ...]:
        """The outputs with the loss of `loss`."""
        return tuple(replace(one, loss=DICE) for one in outputs) if self.loss == "dice" else outputs

    def build(self, task: Task) -> keras.Model:
        """The network, which ends in class probabilities for each pixel of the image.

        Raises `DataError` for samples that are not images, and for masks of another size than their image.
        """
        import keras

        from runner.models.layers import quick_compilation, scaled_input, to_model

        name, spec = task.main_input("unet", lambda shape: len(shape) in (2, 3), "model=custom")
        output = task.outputs[0]
        _refuse(spec, output.shape[:2])
        inputs, scaled = scaled_input(task.spec, task.scaling, image=name or None)
        x = scaled[name] if name else scaled
        if len(spec.shape) == 2:
            x = keras.layers.Reshape((*spec.shape, 1))(x)
        vectors = [tensor for other, tensor in scaled.items() if other != name] if name else []
        margins = tuple(self._margins(length) for length in spec.shape[:2])
        x = keras.layers.ZeroPadding2D(margins)(x)
        with quick_compilation():
            x = keras.layers.Cropping2D(margins)(self._features(x, vectors))
            outputs = _probabilities(x, output)
        return to_model(inputs, outputs)

    def _margins(self, length: int) -> tuple[int, int]:
        """What is padded before and after, so that a side of this length can be halved `depth` times."""
        missing = -length % 2**self.depth
        return missing // 2, missing - missing // 2

    def _features(self, x: Any, vectors: list[Any]) -> Any:
        """Feature maps of the size of `x`."""
        import keras

        levels = []
        for level in range(self.depth):
            x = self._block(x, level)
            levels.append(x)
            x = keras.layers.MaxPooling2D(2)(x)
        x = self._block(_with_vectors(x, vectors), self.depth)
        for level in reversed(range(self.depth)):
            # By repeating pixels, whose gradient is deterministic on every device; a transposed convolution's is not.
            x = keras.layers.UpSampling2D(2)(x)
            x = keras.layers.Conv2D(self._filters(level), 2, padding="same")(x)
            x = self._block(keras.layers.Concatenate()([levels[level], x]), level)
        return x

    def _filters(self, level: int) -> int:
        return int(self.filters * 2**level)

    def _block(self, x: Any, level: int) -> Any:
        """Two convolutions with normalisation and relu."""
        import keras

        filters = self._filters(level)
        for _ in range(2):
            x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=self.norm != "batch")(x)
            if self.norm == "group":
                x = keras.layers.GroupNormalization(math.gcd(MOST_GROUPS, filters))(x)
            elif self.norm == "batch":
                x = keras.layers.BatchNormalization(momentum=BATCH_MOMENTUM)(x)
            x = keras.layers.ReLU()(x)
        return x


def _probabilities(x: Any, output: Output) -> Any:
    """The probability of each class for each pixel."""
    import keras

    if keras.backend.backend() != "torch":
        last = keras.layers.Conv2D
        return last(output.num_classes, 1, activation=output.activation, dtype="float32", name=output.name)(x)
    # PyTorch 2.13 fails in the loss unless the classes come first in memory, as after a softmax over the first axis.
    x = keras.layers.Conv2D(output.num_classes, 1, dtype="float32")(x)
    x = keras.layers.Softmax(axis=1, dtype="float32")(keras.layers.Permute((3, 1, 2), dtype="float32")(x))
    return keras.layers.Permute((2, 3, 1), dtype="float32", name=output.name)(x)


def _refuse(spec: ArraySpec, size: tuple[int, ...]) -> None:
    if len(spec.shape) not in (2, 3):
        raise DataError(
            f"model=unet needs images of shape (height, width, channels), got {spec.shape}; choose model=custom"
        )
    if spec.shape[:2] != size:
        raise DataError(
            f"model=unet predicts masks of the size of their image, {shape_text(spec.shape[:2])}, got "
            f"{shape_text(size)}; choose model=custom"
        )


def _with_vectors(x: Any, vectors: list[Any]) -> Any:
    """`x` with each value of the vectors as a further channel, the same for all pixels."""
    import keras

    channels = []
    for vector in vectors:
        single = keras.layers.Flatten()(vector)
        pixel = keras.layers.Reshape((1, 1, single.shape[-1]))(single)
        channels.append(keras.layers.UpSampling2D(x.shape[1:3])(pixel))
    return keras.layers.Concatenate()([x, *channels]) if channels else x
