"""Models in other formats: their inputs and outputs by name, and what is said where there are none."""

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head
from runner.errors import ConfigurationError
from runner.exports.session import ExportSession
from runner.fields import Layout
from runner.models.base import Task, outputs_of
from runner.models.cnn import CNN
from runner.models.layers import precision

IMAGE, AGE = ArraySpec((8, 8, 1), np.dtype(np.uint8)), ArraySpec((2,), np.dtype(np.float32))
HEADS = {"shape": "sparse", "big": "binary", "area": "raw"}
RANDOM = np.random.default_rng(0)
X = {
    "1st": RANDOM.integers(0, 256, (5, 8, 8, 1), np.uint8),
    "age": RANDOM.random((5, 2), np.float32),
}


@pytest.fixture(scope="module")
def session_of(tmp_path_factory):
    """Saves a model, and opens it to be exported."""

    def open_model(model, modes, targets=()):
        folder = tmp_path_factory.mktemp("export")
        model.save(folder / "model.keras")
        return ExportSession(folder / "model.keras", folder / "export", modes, targets)

    return open_model


def dense(x):
    return keras.layers.Dense(3, activation="softmax")(x)


def test_several_inputs_and_outputs_are_named(session_of):
    heads = [Head("shape", "sparse", ("a", "b", "c")), Head("big", "binary", ("no", "yes")), Head("area", "raw", ())]
    spec = Layout((("1st", IMAGE), ("age", AGE)))
    model = CNN(filters=(4,)).build(Task(spec, "unit", outputs_of(heads, spec)))
    session = session_of(model, HEADS)
    known = session.export("saved_model", X)
    # Keras takes no name that begins with a digit: the layer is called otherwise.
    assert [(one["field"], one["shape"]) for one in known["inputs"]] == [("1st", (None, 8, 8, 1)), ("age", (None, 2))]
    assert {one["head"]: (one["name"], one["shape"]) for one in known["outputs"]} == {
        "shape": ("shape", (None, 3)),
        "big": ("big", (None, 1)),
        "area": ("area", (None, 1)),
    }
    session.compare(X)
    session.compare({name: values[:3] for name, values in X.items()})
    agreement = session.results()["saved_model"]["agreement"]
    assert agreement.keys() == HEADS.keys()
    assert all(each["agrees"] and each["allowed"] >= 1e-4 for each in agreement.values())


def test_another_model_does_not_agree(session_of):
    inputs = keras.Input((4,), name="sample")
    session = session_of(keras.Model(inputs, dense(inputs)), {"label": "sparse"})
    x = RANDOM.random((6, 4), np.float32)
    session.export("saved_model", x)
    session.compare(x)
    assert session.results()["saved_model"]["agreement"]["label"]["agrees"]
    session._model.set_weights([weights + RANDOM.random(weights.shape) for weights in session._model.get_weights()])
    session.compare(x)
    assert not session.results()["saved_model"]["agreement"]["label"]["agrees"]


def test_mixed_precision_has_its_own_tolerance(session_of):
    """ONNX Runtime has no convolution in bfloat16: the exported model computes in float32."""
    inputs = keras.Input((4, 1), name="sample")
    with precision("mixed_bfloat16"):
        x = keras.layers.Flatten()(keras.layers.Conv1D(2, 2)(inputs))
    session = session_of(keras.Model(inputs, dense(x)), {"label": "sparse"})
    assert session.tolerance == 1e-2
    x = RANDOM.random((6, 4, 1), np.float32)
    session.export("onnx", x)
    session.compare(x)
    agreement = session.results()["onnx"]["agreement"]["label"]
    assert agreement["agrees"]
    assert agreement["largest_difference"] > 1e-6


def test_constants_of_layers_become_no_inputs(session_of):
    """tf2onnx makes inputs of tensors that Normalization holds."""
    normalised = keras.layers.Normalization(axis=-1, mean=[1.0, 2.0], variance=[1.0, 4.0])
    inputs = keras.Input((2,), name="sample")
    session = session_of(keras.Model(inputs, dense(normalised(inputs))), {"label": "sparse"})
    known = session.export("onnx", RANDOM.random((2, 2), np.float32))
    assert [one["name"] for one in known["inputs"]] == ["sample"]
    assert [one["name"] for one in known["outputs"]] == ["Identity:0"]


def test_failed_format_leaves_no_file(session_of, tmp_path):
    inputs = keras.Input((4, 4, 4, 1), name="sample")
    session = session_of(
        keras.Model(inputs, dense(keras.layers.Flatten()(keras.layers.MaxPooling3D()(inputs)))), {"label": "sparse"}
    )
    session.export("litert", np.zeros((2, 4, 4, 4, 1), np.float32))
    session.compare(np.zeros((2, 4, 4, 4, 1), np.float32))
    assert session.results() == {"litert": {"failed": "LiteRT has no operation MaxPool3D"}}
    assert not list(session._folder.iterdir())


@keras.saving.register_keras_serializable()
class ForeignLayer(keras.layers.Layer):
    """It computes with functions of another framework, which refuse tensors of this one."""

    works = True

    def call(self, x):
        if not self.works:
            raise TypeError("it wants an array")
        return x


def test_layer_of_another_framework_is_named(session_of):
    inputs = keras.Input((4,), name="sample")
    model = keras.Model(inputs, dense(ForeignLayer()(inputs)))
    ForeignLayer.works = False
    with pytest.raises(
        ConfigurationError, match=r"the layer ForeignLayer of .*model.keras cannot be: it wants an array"
    ):
        session_of(model, {"label": "sparse"})
