"""Models of several inputs: every array has its place, under its own name."""

import sys

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head
from runner.errors import ConfigurationError, DataError
from runner.fields import Layout
from runner.models.application import Application
from runner.models.base import Task, output_of
from runner.models.cnn import CNN
from runner.models.custom import Custom
from runner.models.mlp import MLP
from runner.training.model_file import load

HEAD = Head("", "sparse", ("a", "b", "c"))
BUILD = """
import keras

def build(input_shape, num_classes, activation):
    inputs = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}
    flat = [keras.layers.Flatten()(tensor) for tensor in inputs.values()]
    x = keras.layers.Concatenate()(flat)
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation=activation)(x))

def other(input_shape, num_classes, activation):
    return build({"image": input_shape["image"], "weight": (1,)}, num_classes, activation)
"""


@pytest.fixture
def target(tmp_path, monkeypatch):
    (tmp_path / "two_inputs.py").write_text(BUILD)
    monkeypatch.syspath_prepend(tmp_path)
    yield "two_inputs"
    sys.modules.pop("two_inputs", None)


def task(scaling="unit", *, heads=(HEAD,), **shapes):
    shapes = shapes or {"image": (8, 8, 3), "age": (1,)}
    specs = [(name, ArraySpec(shape, np.dtype("u1" if len(shape) == 3 else "f4"))) for name, shape in shapes.items()]
    return Task(Layout(tuple(specs)), scaling, tuple(output_of(head, ()) for head in heads))


def batch(made, seed=0):
    random = np.random.default_rng(seed)
    return {
        name: (random.random((4, *spec.shape)) * (255 if spec.dtype == "u1" else 1)).astype(spec.dtype)
        for name, spec in made.spec.specs
    }


@pytest.mark.parametrize("settings", [MLP(hidden_units=(4,)), CNN(filters=(4,), dense_units=4)], ids=["mlp", "cnn"])
def test_output_depends_on_every_array(settings):
    made = task()
    model, x = settings.build(made), batch(made)
    before = model.predict(x, verbose=0)
    for name, array in x.items():
        assert not np.allclose(model.predict({**x, name: np.roll(array, 1, axis=0)}, verbose=0), before)


def test_only_arrays_of_8_bits_are_scaled():
    made = task(image=(2, 2, 3), age=(1,))
    model = MLP(hidden_units=(4,)).build(made)
    joined = next(layer for layer in model.layers if isinstance(layer, keras.layers.Concatenate))
    inner = keras.Model(model.input, joined.output)
    flat = inner.predict({"image": np.full((1, 2, 2, 3), 255, np.uint8), "age": np.float32([[7]])}, verbose=0)
    assert flat.tolist() == [[1.0] * 12 + [7.0]]


@pytest.mark.parametrize("name", ["dense", "label", "sample_0", "conv2d", "a/b c", "größe", ""])
def test_array_may_have_any_name(name, tmp_path):
    made = task(image=(8, 8, 3), **{name: (2,)})
    model = CNN(filters=(4,), dense_units=4).build(made)
    x = batch(made)
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    assert np.array_equal(loaded(dict(reversed(x.items()))), model(x))


def test_application_takes_an_image_and_vectors():
    made = task("signed", image=(32, 32, 3), age=(3,))
    model = Application(name="MobileNetV2", weights=None).build(made)
    assert {name: tensor.shape[1:] for name, tensor in model.input.items()} == {"image": (32, 32, 3), "age": (3,)}
    assert model.layers[-1].kernel.shape[0] == 1280 + 3


def test_two_images_are_refused():
    with pytest.raises(DataError, match="model=cnn takes one array .* and any number of vectors, got left 8×8"):
        CNN().build(task(left=(8, 8, 3), right=(8, 8, 3)))


def test_function_of_yours_gets_shapes_by_name(target):
    made = task("none")
    model = Custom(target=f"{target}.build").build(made)
    assert model.predict(batch(made), verbose=0).shape == (4, 3)
    with pytest.raises(ConfigurationError, match="whose inputs are a dict of age, image, got image, weight"):
        Custom(target=f"{target}.other").build(made)
