"""The first and last layers of a model, and the precision it computes in.

Scaling is part of the model, so that a saved model takes the pixels as the loader delivers them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from runner.batch import ArraySpec
from runner.fields import SampleSpec
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


def scaled_input(spec: SampleSpec, scaling: Scaling, *, image: str | None = None) -> tuple[Any, Any]:
    """The model's input, float32, shape `(batch, *spec.shape)`, and the scaled input.

    For samples of several arrays both are a dict by name, and only the array named `image` is scaled, by default all of
    8 bits. The input is float32 though batches are uint8: a uint8 input would make the saved model truncate floats.
    Scaling always computes in float32, as 16 bits would round pixels. It uses layers of Keras, so that a saved model
    loads without the runner.
    """
    if isinstance(spec, ArraySpec):
        inputs = keras.Input(spec.shape, dtype="float32", name="sample")
        return inputs, _scaled(inputs, scaling, "scale")
    by_name = {
        name: keras.Input(one.shape, dtype="float32", name=_layer_name(name, number))
        for number, (name, one) in enumerate(spec.specs)
    }
    is_scaled = {name: name == image if image else one.dtype == np.uint8 for name, one in spec.specs}
    return by_name, {
        name: _scaled(tensor, scaling, f"scale_{number}") if is_scaled[name] else tensor
        for number, (name, tensor) in enumerate(by_name.items())
    }


def _layer_name(field: str, number: int) -> str:
    """The name of a field's input layer: the field's own, as Keras expects it, if no other layer may have that name."""
    kind = re.sub(r"_|\d+$", "", field).lower()
    names_of_layers = {re.sub(r"\d+$", "", name).lower() for name in dir(keras.layers)}
    is_free = field.isidentifier() and kind not in names_of_layers | {"label", "sample", "scale"}
    return field if is_free else f"sample_{number}"


def _scaled(inputs: Any, scaling: Scaling, name: str) -> Any:
    if scaling in _UNSCALED:
        return inputs
    factor, offset = _FACTORS[scaling]
    x = keras.ops.flip(inputs, axis=-1) if scaling == "caffe" else inputs
    return keras.layers.Rescaling(factor, offset, dtype="float32", name=name)(x)


def flattened(x: Any) -> Any:
    """All values of a sample, shape `(batch, n)`: of one array, or of several by name, one after the other."""
    if not isinstance(x, dict):
        return keras.layers.Flatten()(x)
    return keras.layers.Concatenate()([keras.layers.Flatten()(tensor) for tensor in x.values()])


def beside(features: Any, x: Any, name: str) -> Any:
    """`features`, shape `(batch, n)`, with the vectors of `x` that are not `name` behind them."""
    others = [tensor for other, tensor in x.items() if other != name] if isinstance(x, dict) else []
    return keras.layers.Concatenate()([features, *map(keras.layers.Flatten(), others)]) if others else features


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
        return to_model(inputs, _attach(features, task.outputs[0], task))
    # A head may have the name of a layer (`sample`, `dense`). So only the dict's keys are names of heads.
    outputs = {
        output.name: _attach(features, replace(output, name=f"{output.name}_output"), task) for output in task.outputs
    }
    return to_model(inputs, outputs)


def to_model(inputs: Any, outputs: Any) -> keras.Model:
    """The model from `inputs` to `outputs`, each a tensor or a dict by name."""
    with any_input_names():
        return keras.Model(inputs, outputs)


@contextmanager
def any_input_names() -> Iterator[None]:
    """Let an input have another name than its layer: Keras takes the dict by its keys, and only warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "When providing `inputs` as a dict")
        yield


def _attach(features: Any, output: Output, task: Task) -> Any:
    if len(output.shape) == 1 and not output.reconstruction:
        return keras.layers.Dense(output.units, activation=output.activation, dtype="float32", name=output.name)(
            features
        )
    flat = keras.layers.Dense(output.units, dtype="float32", name=f"{output.name}_values")(features)
    if not output.reconstruction:
        return keras.layers.Reshape(output.shape, dtype="float32", name=output.name)(flat)
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


@contextmanager
def quick_compilation() -> Iterator[None]:
    """Let JAX compile without optimisations what runs once in the block: drawing the first weights of a network.

    On a CPU, XLA optimises the random numbers of each shape of weights for 3 to 7 s (JAX 0.10), and needs 0.3 s so. The
    last bits of the numbers differ.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    name = "jax_disable_most_optimizations"
    before = jax.config.read(name)
    jax.config.update(name, True)
    try:
        yield
    finally:
        jax.config.update(name, before)
