"""Scaling inside the model, so that a saved model takes the pixels as the loader gives them."""

from __future__ import annotations

from typing import Any

import keras

from runner.models.settings import Scaling
from runner.samples import ArraySpec

# (factor, offset) of y = factor · x + offset, for 8-bit values.
_FACTORS: dict[Scaling, tuple[float, float]] = {"unit": (1 / 255, 0.0), "signed": (2 / 255, -1.0)}


def scaled_input(spec: ArraySpec, scaling: Scaling) -> tuple[Any, Any]:
    """The model's input, float32 of any batch size, and that input scaled.

    The input is float32 though batches travel as uint8: a uint8 input would make the saved model truncate floats.
    """
    inputs = keras.Input(spec.shape, dtype="float32", name="sample")
    if scaling == "none":
        return inputs, inputs
    factor, offset = _FACTORS[scaling]
    return inputs, keras.layers.Rescaling(factor, offset, name="scale")(inputs)


def unscaled(x: Any, scaling: Scaling, name: str) -> Any:
    """`x`, in the scaled range, taken back to the range the samples have."""
    if scaling == "none":
        return keras.layers.Identity(name=name)(x)
    factor, offset = _FACTORS[scaling]
    return keras.layers.Rescaling(1 / factor, -offset / factor, name=name)(x)
