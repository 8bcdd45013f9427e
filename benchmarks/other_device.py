"""A model whose step takes a given time on a device other than the processor, for `accelerator.py` without one.

python benchmarks/accelerator.py --samples 1280 --network backend=jax mode=fit model=custom \
    'extensions=[other_device]' model.target=other_device.build 'model.arguments={milliseconds: 60}'
"""

from __future__ import annotations

import time

import jax
import keras
import numpy as np
from jax.experimental import io_callback

EDGE = 12
"""Pixels of the middle that the model looks at: it leaves the processor to those who read."""


@keras.saving.register_keras_serializable("benchmarks")
class OtherDevice(keras.layers.Layer):
    """Gives its input back after some milliseconds, in which it needs no processor."""

    def __init__(self, milliseconds: float, **options: object) -> None:
        super().__init__(**options)
        self.milliseconds = milliseconds

    def call(self, x: jax.Array, training: bool = False) -> jax.Array:
        """Wait in training only."""
        if not training or isinstance(x, keras.KerasTensor):
            return x
        return x + jax.lax.stop_gradient(io_callback(self._wait, jax.ShapeDtypeStruct((), x.dtype)))

    def _wait(self) -> np.ndarray:
        time.sleep(self.milliseconds / 1000)
        return np.zeros((), np.float32)

    def get_config(self) -> dict[str, object]:
        """As Keras saves it."""
        return {**super().get_config(), "milliseconds": self.milliseconds}


def build(input_shape: tuple[int, int, int], num_classes: int, milliseconds: float = 60) -> keras.Model:
    """Classes from a few pixels in the middle."""
    height, width, _ = input_shape
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.CenterCrop(min(EDGE, height), min(EDGE, width)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            OtherDevice(milliseconds),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )
