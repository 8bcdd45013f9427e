"""unet: masks of any image; how it is compiled, and that a saved one is plain Keras."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.dataset import Dataset
from runner.data.labels import Head
from runner.errors import DataError
from runner.feeds.targets import encoder_of
from runner.fields import Layout
from runner.models.base import Task, output_of, task_of
from runner.models.cnn import CNN
from runner.models.compile import compile_model, countable
from runner.models.layers import precision, quick_compilation
from runner.models.mlp import MLP
from runner.models.unet import UNet

HEAD = Head("", "mask", ("a", "b", "c"), ignored=255)
SMALL = UNet(depth=2, filters=4)
IMAGE = ArraySpec((10, 13, 2), np.dtype(np.uint8))
X = np.random.default_rng(0).integers(0, 256, (4, 10, 13, 2), np.uint8)
Y = np.random.default_rng(1).integers(0, 3, (4, 10, 13), np.uint8)
Y[:, 0] = 255


def task(spec=IMAGE, head=HEAD, size=(10, 13)):
    return Task(spec, "unit", (output_of(head, size),))


@pytest.fixture(scope="module")
def model():
    """A network that has trained for a few steps."""
    keras.utils.set_random_seed(0)
    made = SMALL.build(task())
    compile_model(made, task(), optimizer=keras.optimizers.Adam(0.01), jit_compile=False)
    made.run_eagerly = True  # a few steps are over sooner than one is traced
    made.fit(X, Y, epochs=3, verbose=0)
    return made


def test_images_of_any_size_are_padded_and_cropped(model):
    probabilities = model.predict(X, verbose=0)
    assert probabilities.shape == (4, 10, 13, 3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


def test_loss_and_metric_count_pixels_not_ignored(model):
    loss, mean_iou = model.evaluate(X, Y, verbose=0)
    probabilities, counts = model.predict(X, verbose=0), Y != 255
    of_truth = np.take_along_axis(probabilities, np.where(counts, Y, 0)[..., None].astype(int), -1)[..., 0]
    assert loss == pytest.approx(-np.log(of_truth[counts]).mean(), rel=1e-4)
    pairs = [(probabilities.argmax(-1)[counts] == code, Y[counts] == code) for code in range(3)]
    assert mean_iou == pytest.approx(np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs]), rel=1e-5)


def test_saved_network_needs_no_class_of_ours(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0))
    config = keras.saving.serialize_keras_object(loaded.get_compile_config())
    used = {type(one).__module__.split(".")[0] for one in (*loaded._flatten_layers(), loaded.loss, *loaded.metrics)}
    assert used == {"keras"}
    assert "runner" not in str(config) + str(loaded.get_config())


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_other_normalisations_give_numbers(norm):
    made = UNet(depth=1, filters=2, norm=norm).build(task())
    assert np.isfinite(made.predict_on_batch(X)).all()
    kinds = {type(layer).__name__ for layer in made.layers}
    assert ("BatchNormalization" in kinds) is (norm == "batch")


def test_flat_image_and_vectors_are_used():
    specs = {"scan": ArraySpec((10, 13), np.dtype("u1")), "age": ArraySpec((2,), np.dtype("f4"))}
    made = SMALL.build(task(Layout(tuple(specs.items()))))
    x = {"scan": X[..., 0], "age": np.ones((4, 2), "f4")}
    other = {**x, "age": np.zeros((4, 2), "f4")}
    assert made.predict_on_batch(x).shape == (4, 10, 13, 3)
    assert not np.array_equal(made.predict_on_batch(x), made.predict_on_batch(other))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ArraySpec((5,), np.dtype("f4")), r"model=unet needs images of shape .*, got \(5,\); choose model=custom"),
        (ArraySpec((4, 10, 13, 1), np.dtype("f4")), r"got \(4, 10, 13, 1\)"),
        (ArraySpec((20, 13, 1), np.dtype("u1")), r"masks of the size of their image, 20×13, got 10×13"),
        (Layout((("a", IMAGE), ("b", IMAGE))), r"takes one array for its layers .*; choose model=custom"),
    ],
)
def test_samples_that_are_no_images_are_refused(spec, message):
    with pytest.raises(DataError, match=message):
        SMALL.build(task(spec))


class Data(Dataset):
    """A data set that has only heads and a spec."""

    def __init__(self, *heads):
        object.__setattr__(self, "heads", heads)
        object.__setattr__(self, "spec", IMAGE)


@pytest.mark.parametrize("settings", [CNN(), MLP()], ids=["cnn", "mlp"])
def test_models_of_whole_samples_refuse_masks(settings):
    with pytest.raises(DataError, match=rf"model={settings.kind} predicts values .*; choose model=unet, or model=cus"):
        task_of(Data(HEAD), "auto", settings)


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ((Head("", "sparse", ("a", "b")),), "got data without masks; choose model=cnn for images"),
        ((Head("m", "mask", ("a", "b")), Head("k", "raw")), "got data with the outputs m, k; choose model=custom"),
    ],
)
def test_unet_refuses_heads_without_one_mask(heads, message):
    with pytest.raises(DataError, match=rf"model=unet predicts one mask per sample .*, {message}"):
        task_of(Data(*heads), "auto", SMALL)


@pytest.mark.parametrize(("backend", "counts"), [("tensorflow", True), ("jax", False), ("torch", False)])
def test_metric_that_would_wrap_around_is_left_out(monkeypatch, backend, counts):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    most = (2**31 - 1) // 130
    assert countable(task(), most) == task()
    assert bool(countable(task(), most + 1).outputs[0].metrics) is counts


def test_mixed_precision_keeps_outputs_in_float32():
    with precision("mixed_bfloat16"):
        made = UNet(depth=1, filters=2).build(task())
        compile_model(made, task(), optimizer=keras.optimizers.Adam(0.01), jit_compile=False)
    made.run_eagerly = True
    assert made.output.dtype == "float32"
    assert np.isfinite(made.train_on_batch(X, Y)).all()


def test_jax_optimises_what_follows(monkeypatch):
    """What runs once is compiled quickly: 33 s of CPU time for the first weights of a small network become 5."""
    config = pytest.importorskip("jax").config
    name = "jax_disable_most_optimizations"
    with monkeypatch.context() as patched:
        patched.setattr(keras.backend, "backend", lambda: "jax")
        before = config.read(name)
        config.update(name, False)
        with pytest.raises(ZeroDivisionError), quick_compilation():
            assert config.read(name) is True
            raise ZeroDivisionError
        assert config.read(name) is False
        config.update(name, before)


def test_dice_is_that_of_each_image_and_class():
    dice = UNet(depth=1, filters=2, loss="dice")
    outputs = dice.with_losses((replace(task().outputs[0], ignored=None),))
    made = replace(task(), outputs=outputs)
    keras.utils.set_random_seed(0)
    model = dice.build(made)
    compile_model(model, made, optimizer="sgd", jit_compile=False)
    model.run_eagerly = True
    y = np.where(Y == 255, 0, Y)
    one_hot, weights = encoder_of(model)(y, np.float32([1, 0, 0, 0]).reshape(-1, 1, 1))
    assert np.array_equal(one_hot.argmax(-1), y)
    probabilities = model.predict(X, verbose=0)
    both, sums = (probabilities * one_hot).sum((1, 2)), (probabilities + one_hot).sum((1, 2))
    loss, mean_iou = model.evaluate(X, one_hot, verbose=0)
    assert loss == pytest.approx(np.mean(1 - 2 * both / sums), rel=1e-4)
    assert 0 < mean_iou < 1
    weighed = model.evaluate(X, one_hot, sample_weight=weights, verbose=0)[0]
    assert weighed == pytest.approx(np.mean((1 - 2 * both / sums)[0]) / 4, rel=1e-4)


def test_ignored_pixels_are_no_class_of_dice():
    dice = UNet(depth=1, filters=2, loss="dice")
    made = replace(task(), outputs=dice.with_losses(task().outputs))
    model = dice.build(made)
    compile_model(model, made, optimizer="sgd", jit_compile=False)
    one_hot, weights = encoder_of(model)(Y, None)
    assert weights is None
    assert (one_hot[:, 0] == 0).all()
    assert np.array_equal(one_hot[:, 1:].argmax(-1), Y[:, 1:])
    assert (one_hot[:, 1:].sum(-1) == 1).all()
    model.run_eagerly = True
    assert list(model.evaluate(X, one_hot, return_dict=True, verbose=0)) == ["loss"]
