"""Networks of keras.applications: their pixels, their weights, what of them is trained."""

import importlib
from typing import get_args

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head
from runner.errors import ConfigurationError, DataError
from runner.models.application import Application, ApplicationName, preprocessing
from runner.models.base import Task, output_of
from runner.models.compile import compile_model
from runner.models.layers import scaled_input

NAMES = get_args(ApplicationName)
SPEC = ArraySpec((32, 32, 3), np.dtype(np.uint8))
# One network of each way of preprocessing; the smallest there are.
SMALL = {"signed": "MobileNet", "builtin": "MobileNetV3Small"}
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)


def task(scaling=None, name="MobileNet", spec=SPEC, mode="sparse"):
    head = Head("", mode, ("a", "b") if mode == "sparse" else ())
    return Task(spec, scaling or preprocessing(name), (output_of(head, spec.shape),))


@pytest.fixture(scope="module")
def mobilenet():
    return Application(name="MobileNet").build(task())


def base_of(model):
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def kinds_of(model):
    return {type(layer).__name__ for layer in model.layers}


def module_of(name):
    return importlib.import_module(getattr(keras.applications, name).__module__)


def test_every_network_of_keras_is_there():
    found = {name for name, item in vars(keras.applications).items() if callable(item)}
    assert found == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_scaling_matches_the_networks_module(name):
    expected = module_of(name).preprocess_input(PIXELS.astype(np.float32))
    inputs, scaled = scaled_input(SPEC, Application(name=name).automatic_scaling(SPEC))
    given = keras.Model(inputs, scaled)(PIXELS)
    np.testing.assert_allclose(given, expected, rtol=1e-6, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_self_scaling_networks_are_known(name):
    untouched = np.array_equal(module_of(name).preprocess_input(PIXELS.astype(np.float32)), PIXELS)
    assert (preprocessing(name) == "builtin") == untouched


@pytest.mark.parametrize("scaling", ["torch", "caffe"])
def test_channel_scaling_is_saved(scaling, tmp_path):
    model = keras.Model(*scaled_input(SPEC, scaling))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(PIXELS), model(PIXELS))


@pytest.mark.parametrize("name", SMALL.values())
def test_network_trains_and_is_saved(name, tmp_path):
    made = task(name=name)
    model = Application(name=name, pooling="max", trainable=3).build(made)
    assert ("Rescaling" in kinds_of(base_of(model))) == (preprocessing(name) == "builtin")
    compile_model(model, made, optimizer="sgd")
    model.run_eagerly = True  # to trace a step takes a quarter of a minute with the gradients of all layers
    model.fit(PIXELS, np.float32([0, 1, 0, 1]), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert np.array_equal(loaded(PIXELS), model(PIXELS))


def test_built_in_scaling_needs_scale_auto():
    assert "Rescaling" not in kinds_of(base_of(Application(name="MobileNetV3Small").build(task("unit"))))


def test_fixed_scaling_refuses_another():
    with pytest.raises(
        ConfigurationError, match=r"data.scale must be auto or none with model.name=EfficientNetB0, .* got unit"
    ):
        Application(name="EfficientNetB0").build(task("unit"))


@pytest.mark.parametrize(("trainable", "expected"), [(True, None), (False, 0), (3, 2)])
def test_requested_layers_are_trainable(trainable, expected, mobilenet):
    # The last three layers of MobileNet are batch normalisation (2 weights), relu and pooling.
    model = mobilenet if trainable is True else Application(name="MobileNet", trainable=trainable).build(task())
    base = base_of(model)
    wanted = 81 if expected is None else expected
    assert len(base.trainable_weights) == wanted
    assert len(model.trainable_weights) == wanted + 2


def test_too_many_trainable_layers_are_refused():
    with pytest.raises(ConfigurationError, match=r"model.trainable must be true, false or at most 87, .* got 900"):
        Application(name="MobileNet", trainable=900).build(task())


def assert_base_has(model, expected):
    assert all(np.array_equal(a, b) for a, b in zip(base_of(model).get_weights(), expected.get_weights(), strict=True))


@pytest.mark.parametrize("suffix", ["weights.h5", "keras"])
def test_weights_of_a_bare_network_are_taken_over(mobilenet, tmp_path, suffix):
    file = tmp_path / f"base.{suffix}"
    (base_of(mobilenet).save if suffix == "keras" else base_of(mobilenet).save_weights)(file)
    assert_base_has(Application(name="MobileNet", weights=file).build(task()), base_of(mobilenet))


def test_weights_load_from_a_run_folder(mobilenet, tmp_path):
    mobilenet.save(tmp_path / "model.keras")
    assert_base_has(Application(name="MobileNet", weights=tmp_path).build(task()), base_of(mobilenet))


def test_weights_load_from_a_network_with_top(tmp_path):
    whole = keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3), classes=5)
    whole.save(tmp_path / "whole.keras")
    base = base_of(Application(name="MobileNet", weights=tmp_path / "whole.keras").build(task()))
    assert np.array_equal(base.get_weights()[-1], whole.get_weights()[len(base.weights) - 1])


def normalisation_of(network):
    return next(layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))


def test_normalisation_statistics_are_loaded(tmp_path):
    made = task(name="EfficientNetB0")
    first = base_of(Application(name="EfficientNetB0").build(made))
    normalisation = normalisation_of(first)
    normalisation.set_weights([np.float32([1, 2, 3]), np.float32([4, 5, 6]), np.int32(0)][: len(normalisation.weights)])
    normalisation.finalize_state()
    first.save_weights(tmp_path / "base.weights.h5")
    second = base_of(Application(name="EfficientNetB0", weights=tmp_path / "base.weights.h5").build(made))
    given, expected = normalisation_of(second)(PIXELS), normalisation(PIXELS)
    assert np.array_equal(given, expected) and not np.array_equal(expected, PIXELS)
    assert all(np.array_equal(a, b) for a, b in zip(second.get_weights(), first.get_weights(), strict=True))


def test_weights_of_another_network_are_refused(mobilenet, tmp_path):
    base_of(mobilenet).save(tmp_path / "base.keras")
    with pytest.raises(
        DataError, match=r"model.weights=.*base.keras must hold weights of MobileNetV3Small: no part of mobile"
    ):
        Application(name="MobileNetV3Small", weights=tmp_path / "base.keras").build(task("builtin"))


def test_file_that_holds_no_weights_is_refused(tmp_path):
    (tmp_path / "x.weights.h5").write_text("no weights")
    with pytest.raises(DataError, match=r"model.weights=.*x.weights.h5 must hold weights of mobilenet"):
        Application(name="MobileNet", weights=tmp_path / "x.weights.h5").build(task())


def test_missing_weights_name_their_key(tmp_path):
    file = tmp_path / "nowhere.keras"
    assert list(Application(name="MobileNet", weights=file).missing_paths()) == [("weights", file)]
    assert not list(Application(name="MobileNet").missing_paths())
    assert not list(Application(name="MobileNet", weights="imagenet").missing_paths())


def test_small_images_are_refused_by_keras():
    spec = ArraySpec((40, 40, 3), np.dtype(np.uint8))
    with pytest.raises(
        DataError, match=r"model.name=Xception cannot take images of 40×40: Input size must be at least 71x71"
    ):
        Application(name="Xception").build(task(spec=spec))


@pytest.mark.parametrize("shape", [(32, 32, 1), (32, 32), (5,)])
def test_non_rgb_samples_are_refused(shape):
    with pytest.raises(
        DataError, match=r"needs samples of shape \(height, width, 3\), got .*; choose data.color_mode=rgb"
    ):
        Application(name="MobileNet").build(task(spec=ArraySpec(shape, np.dtype(np.uint8))))


def test_reconstruction_is_refused():
    with pytest.raises(ConfigurationError, match=r"model=application must predict labels, got data.class_mode=input"):
        Application(name="MobileNet").build(task(mode="input"))
