"""mlp and cnn: whatever the data asks, a model that fits it, trains and can be saved."""

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head
from runner.errors import DataError
from runner.models.base import Task, output_of
from runner.models.cnn import CNN
from runner.models.compile import compile_model
from runner.models.mlp import MLP

MODELS = [MLP(hidden_units=(8,), dropout=0.1), CNN(filters=(4,), dense_units=8)]
CLASSES = ("a", "b", "c")
TARGETS = {
    "categorical": (Head("", "categorical", CLASSES), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]),
    "sparse": (Head("", "sparse", CLASSES), np.float32([0, 1, 2, 0])),
    "binary": (Head("", "binary", CLASSES[:2]), np.float32([0, 1, 1, 0])),
}


def task(head, shape=(8, 6, 1), dtype=np.uint8, scaling="unit"):
    return Task(ArraySpec(shape, np.dtype(dtype)), scaling, (output_of(head, shape),))


def built(settings, made):
    model = settings.build(made)
    compile_model(model, made, optimizer=keras.optimizers.Adam(0.01))
    return model


@pytest.mark.parametrize("settings", MODELS, ids=["mlp", "cnn"])
@pytest.mark.parametrize("mode", TARGETS)
def test_model_trains_on_every_class_mode(settings, mode):
    head, y = TARGETS[mode]
    model = built(settings, task(head))
    model.run_eagerly = mode != "sparse" or settings is MODELS[0]  # to trace a function takes longer than two steps
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 1), np.uint8)
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert set(history) == {"loss", "accuracy"}
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("settings", MODELS, ids=["mlp", "cnn"])
def test_autoencoder_output_is_in_pixel_range(settings):
    made = task(Head("", "input"))
    model = built(settings, made)
    x = np.full((80 * 32, 8, 6, 1), 200, np.uint8)
    model.fit(x, x, verbose=0)
    assert abs(model.predict(x[:1], verbose=0) - 200).mean() < 60


@pytest.mark.parametrize("settings", MODELS, ids=["mlp", "cnn"])
def test_saved_model_takes_floats_and_integers(settings, tmp_path):
    model = built(settings, task(TARGETS["sparse"][0]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    x = np.random.default_rng(0).integers(0, 256, (2, 8, 6, 1), np.uint8)
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x.astype(np.float32), verbose=0))


@pytest.mark.parametrize(("scaling", "low", "high"), [("none", 0, 255), ("unit", 0, 1), ("signed", -1, 1)])
def test_model_scales_its_input(scaling, low, high):
    from runner.models.layers import scaled_input

    inputs, scaled = scaled_input(ArraySpec((2,), np.dtype(np.uint8)), scaling)
    given = keras.Model(inputs, scaled).predict(np.uint8([[0, 255]]), verbose=0)
    np.testing.assert_allclose(given, [[low, high]], atol=1e-6)


def test_cnn_takes_images_without_a_channel_axis():
    model = built(MODELS[1], task(TARGETS["sparse"][0], shape=(8, 6)))
    assert model.predict(np.zeros((2, 8, 6), np.uint8), verbose=0).shape == (2, 3)


def test_cnn_refuses_samples_that_are_no_images():
    with pytest.raises(DataError, match=r"needs samples of shape .*, got \(5,\); choose model=cnn3d for volumes"):
        CNN().build(task(TARGETS["sparse"][0], shape=(5,)))


def test_cnn_refuses_too_many_halvings():
    with pytest.raises(DataError, match="halves height and width 4 times, too often for samples of 8×6"):
        CNN(filters=(1, 2, 3, 4)).build(task(TARGETS["sparse"][0]))
