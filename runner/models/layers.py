"""The first and last layers of a model, and the precision it computes in.

Scaling is part of the model, so that a saved model takes the pixels as the loader delivers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras

from runner.batch import ArraySpec
from runner.models.base import Output, Precision, Scaling, Task

# By channel of an image from 0 to 255, as in keras.applications.imagenet_utils.preprocess_input.
_TORCH_MEAN, _TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red

# (factor, offset) of y = factor · x + offset for values from 0 to 255; a list has one value per channel.
_FACTORS: dict[Scaling, tuple[Any, Any]] = {
    "unit": (1 / 255, 0.0),
    "signed": (2 / 255, -1.0),
    "torch": (
        [1 / (255 * deviation) for deviation in _TORCH_DEVIATION],
        [-mean / deviation for mean, deviation in zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True)],
    ),
    "caffe": ([1.0, 1.0, 1.0], [-mean for mean in _CAFFE_MEAN]),
}
_UNSCALED = ("none", "builtin")


def scaled_input(spec: ArraySpec, scaling: Scaling) -> tuple[Any, Any]:
    """The model's input, float32, shape `(batch, *spec.shape)`, and the scaled input.

    The input is float32 though batches are uint8: a uint8 input would make the saved model truncate floats. Scaling
    always computes in float32, as 16 bits would round pixels. It uses layers of Keras, so that a saved model loads
    without the runner.
    """
    inputs = keras.Input(spec.shape, dtype="float32", name="sample")
    if scaling in _UNSCALED:
        return inputs, inputs
    factor, offset = _FACTORS[scaling]
    x = keras.ops.flip(inputs, axis=-1) if scaling == "caffe" else inputs
    return inputs, keras.layers.Rescaling(factor, offset, dtype="float32", name="scale")(x)


def unscaled(x: Any, scaling: Scaling, name: str) -> Any:
    """`x` with the scaling reversed, in the range of the samples; not for scalings by channel."""
    if scaling in _UNSCALED:
        return keras.layers.Identity(dtype="float32", name=name)(x)
    factor, offset = _FACTORS[scaling]
    return keras.layers.Rescaling(1 / factor, -offset / factor, dtype="float32", name=name)(x)


def model_of(inputs: Any, features: Any, task: Task) -> keras.Model:
    """The model from `inputs` over `features`, shape `(batch, n)`, to the outputs of `task`.

    A single output is a tensor, several are a dict by name. Outputs are float32 in any precision: a float16 softmax
    has too few digits for a loss.
    """
    if len(task.outputs) == 1:
        return keras.Model(inputs, _attach(features, task.outputs[0], task))
    # A head may have the name of a layer (`sample`, `dense`). So only the dict's keys are names of heads.
    outputs = {
        output.name: _attach(features, replace(output, name=f"{output.name}_output"), task) for output in task.outputs
    }
    return keras.Model(inputs, outputs)


def _attach(features: Any, output: Output, task: Task) -> Any:
    if not output.reconstruction:
        return keras.layers.Dense(output.units, activation=output.activation, dtype="float32", name=output.name)(
            features
        )
    flat = keras.layers.Dense(output.units, dtype="float32", name=f"{output.name}_values")(features)
    return unscaled(keras.layers.Reshape(output.shape)(flat), task.scaling, output.name)


@contextmanager
def precision(policy: Precision) -> Iterator[None]:
    """Make layers that are created in the block compute in `policy`; then restore the policy.

    With `mixed_float16`, a model compiled in the block scales its loss, so that small gradients are not lost.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
