"""`model=custom`: what the user's function is given, and what of its model is refused."""

import re
import sys

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head
from runner.errors import ConfigurationError
from runner.models.base import Task, output_of
from runner.models.custom import Custom

CLASSES = ("a", "b", "c")
CATEGORICAL, BINARY = Head("", "categorical", CLASSES), Head("", "binary", CLASSES[:2])
TWO = (Head("kind", "sparse", CLASSES), Head("size", "raw"))
MINE = """
import keras

def build(input_shape, num_classes, width=4):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(width),
        keras.layers.Dense(num_classes, activation="softmax"),
    ])

def fitting(input_shape, units, activation):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(units, activation)])

def several(input_shape, outputs):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, {o.name: keras.layers.Dense(o.units, activation=o.activation)(x) for o in outputs})

def compiled(input_shape, num_classes):
    model = build(input_shape, num_classes)
    model.compile("sgd", "categorical_crossentropy")
    return model

def logits(input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)])

def forgets(input_shape):
    build(input_shape, 3)

def pixels(input_shape, num_classes, units, activation=None):
    assert units == num_classes
    return keras.Sequential([keras.Input(input_shape), keras.layers.Conv2D(units, 1, activation=activation)])

class Eager(keras.Model):
    def call(self, x):
        assert str(x.dtype) == "float32", x.dtype
        return x

def eager():
    return Eager()

number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "mine_m.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mine_m", None)


def task(*heads, shape=(4, 4, 1), scaling="none"):
    return Task(ArraySpec(shape, np.dtype(np.uint8)), scaling, tuple(output_of(head, shape) for head in heads))


def refusal(name, made, **arguments):
    with pytest.raises(ConfigurationError) as refused:
        Custom(target=f"mine_m.{name}", arguments=arguments).build(made)
    return str(refused.value)


def test_function_gets_its_arguments():
    model = Custom(target="mine_m.build", arguments={"width": 7}).build(task(CATEGORICAL))
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [7, 3]
    assert model.input_shape == (None, 4, 4, 1)
    assert not model.compiled


@pytest.mark.parametrize("head", [CATEGORICAL, BINARY, Head("", "multi_label", CLASSES), Head("", "raw")])
def test_units_and_activation_fit_every_mode(head):
    model = Custom(target="mine_m.fitting").build(task(head))
    assert model.output_shape == (None, *output_of(head, ()).shape)


def test_several_outputs_are_offered_by_name():
    model = Custom(target="mine_m.several").build(task(*TWO))
    assert set(model.output) == {"kind", "size"}


def test_user_compiled_model_stays_compiled():
    model = Custom(target="mine_m.compiled").build(task(CATEGORICAL))
    assert isinstance(model.optimizer, keras.optimizers.SGD)


def test_samples_are_unscaled_by_default():
    settings = Custom(target="mine_m.fitting")
    assert settings.automatic_scaling(ArraySpec((4, 4, 1), np.dtype(np.uint8))) == "none"
    scaled = settings.build(task(Head("", "raw"), scaling="unit"))
    x = np.full((1, 4, 4, 1), 255, np.uint8)
    inner = scaled.layers[-1]
    np.testing.assert_allclose(scaled.predict(x, verbose=0), inner.predict(x / 255, verbose=0), rtol=1e-5)


def test_model_without_probabilities_is_refused():
    told = refusal("logits", task(CATEGORICAL))
    assert told.startswith(
        "model.target=mine_m.logits must return a model with probabilities as output, got values that "
    )
    assert told.endswith("; end it in 3 units with activation='softmax'")
    scaled_to = refusal("logits", task(Head("", "multi_label", CLASSES)))
    assert "probabilities as output, got values from -" in scaled_to


@pytest.mark.parametrize(
    ("name", "heads", "message"),
    [
        (
            "build",
            [BINARY],
            r"output of shape \(1,\), like the labels, got \(2,\); end it in 1 units with activation=",
        ),
        (
            "fitting",
            TWO,
            r"must accept the arguments \(input_shape\): missing a required argument: 'units'; the data ",
        ),
        ("build", TWO, "missing a required argument: 'num_classes'; the data offers input_shape, outputs, and"),
        ("forgets", [CATEGORICAL], r"must return a keras.Model, got nothing \(is there a return\?\)$"),
        ("number", [CATEGORICAL], "must be a function or class, got mine_m.number: an object of type int$"),
        ("nothing", [CATEGORICAL], r"mine_m\.nothing must be in .*mine_m\.py, which has no 'nothing'"),
    ],
)
def test_what_does_not_fit_is_refused(name, heads, message):
    assert re.search(message, refusal(name, task(*heads)))


def test_unknown_argument_is_refused():
    assert "got an unexpected keyword argument 'depth'" in refusal("build", task(CATEGORICAL), depth=3)


def test_compiled_model_is_not_scaled():
    assert refusal("compiled", task(CATEGORICAL, scaling="unit")).startswith("data.scale must be auto or none for a ")


def test_model_is_tried_on_the_delivered_dtype():
    assert refusal("eager", task(CATEGORICAL)).endswith("samples are uint8: begin with keras.ops.cast(x, 'float32')")


def test_model_for_other_samples_is_refused():
    told = refusal("build", task(CATEGORICAL), input_shape=[9])
    assert told.startswith("model.target=mine_m.build must return a model that takes samples of shape (4, 4, 1): ")


def test_masks_must_be_probabilities_of_each_pixel():
    masks = Task(ArraySpec((4, 4, 1), np.dtype("u1")), "none", (output_of(Head("", "mask", CLASSES), (4, 4)),))
    assert Custom(target="mine_m.pixels").build(masks).output_shape == (None, 4, 4, 3)
    mend = "end it in a convolution of 3 filters with activation='softmax'"
    assert re.search(rf"values that add up to .* for a pixel; {mend}", refusal("pixels", masks, activation=None))
    assert re.search(rf"output of shape \(4, 4, 3\), like the labels, got \(3,\); {mend}", refusal("build", masks))
