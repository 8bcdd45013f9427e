"""The weight of each class in the loss."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from runner.batch import ArraySpec, Batch
from runner.data.labels import NO_LABELS, Head, Labels
from runner.errors import ConfigurationError
from runner.models.base import Task, output_of
from runner.models.compile import compile_model
from runner.training.class_weights import ClassWeights, class_weights, count_pixels
from runner.training.settings import Train

from .conftest import CODES, DEFAULTS, LOADERS, Points, build, load

NAMES = ("left", "right")


def labels(mode="sparse", codes=CODES, names=NAMES):
    return Labels((Head("", mode, names),), (codes,))


def test_balanced_weights_match_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=CODES)
    np.testing.assert_allclose(class_weights("balanced", labels()).by_code, expected, rtol=1e-6)


def test_balanced_weights_skip_empty_classes():
    weights = class_weights("balanced", labels(names=(*NAMES, "nowhere"))).by_code
    assert weights[2] == 1
    assert weights[CODES].mean() == pytest.approx(1)


def test_classes_not_named_count_one():
    assert class_weights({"right": 3.0}, labels()).by_code.tolist() == [1, 3]


@pytest.mark.parametrize("mode", ["categorical", "sparse", "binary"])
def test_each_sample_gets_the_weight_of_its_class(mode):
    y = Head("", mode, NAMES).encode(CODES)
    weights = class_weights({"left": 2.0, "right": 5.0}, labels(mode))(Batch(y, y, None, ("",) * len(y)))
    assert weights.dtype == np.float32
    assert weights.tolist() == [5.0 if code else 2.0 for code in CODES]


@pytest.mark.parametrize("y", [[0.25, 1.0], [[0.75, 0.25], [0.0, 1.0]]], ids=["binary", "categorical"])
def test_mixed_sample_weighs_as_its_classes_do(y):
    weigh = replace(class_weights({"left": 2.0, "right": 6.0}, labels()), mixed=True)
    assert weigh(Batch(y, np.float32(y), None, ("a", "b"))).tolist() == [3, 6]
    assert weigh(Batch(y, np.float32(y), np.float32([10, 1]), ("a", "b"))).tolist() == [30, 6]


def test_sample_weights_are_kept():
    given = ClassWeights(np.float32([2, 5]))(Batch(CODES, CODES[3:5], np.float32([10, 100]), ("a", "b")))
    assert given.tolist() == [50, 200]


def test_unknown_classes_are_named_together():
    with pytest.raises(ConfigurationError) as caught:
        class_weights({"rigth": 2.0, "up": 1.0}, labels())
    assert caught.value.problems == (
        "train.class_weight must name classes of the data (left, right), got 'rigth'; did you mean 'right'?",
        "train.class_weight must name classes of the data (left, right), got 'up'",
    )


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (NO_LABELS, "no target"),
        (Labels((Head("", "input"),), (CODES[:0],)), "one: input"),
        (Labels((Head("p", "binary", NAMES), Head("q", "sparse", NAMES)), (CODES, CODES)), "p: binary, q: sparse"),
    ],
)
def test_data_without_a_single_class_is_refused(data, got):
    with pytest.raises(ConfigurationError, match=f"needs data with one target of class_mode .*, got {got}; set train"):
        class_weights("balanced", data)


@pytest.mark.parametrize(("mode", "kind"), [*zip(["categorical", "sparse", "binary"], LOADERS, strict=True)])
def test_class_weights_match_keras(train, mode, kind):
    source = Points(mode)
    model = build(source, Train(**DEFAULTS))
    with load(source) as loader:
        for batch in loader.stream(0, 6):
            model.train_on_batch(batch.x, batch.y, class_weight={0: 0.5, 1: 4.0})
    trained = train(source, kind=kind, epochs=2, class_weight={"left": 0.5, "right": 4.0})
    for ours, keras_own in zip(trained.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-5, atol=1e-6)


def test_validation_is_not_weighted(train):
    weighted, plain = (
        train(validation=True, epochs=1, learning_rate=1e-30, class_weight=weights) for weights in ({"left": 0.0}, None)
    )
    assert weighted.column("loss") != plain.column("loss")
    assert weighted.column("accuracy") == plain.column("accuracy")
    assert weighted.column("val_loss") == plain.column("val_loss")


MASK = Head("", "mask", NAMES, ignored=255)
MASKS = np.uint8([[[0, 1], [255, 1]], [[0, 0], [255, 255]]])


@pytest.mark.parametrize("sample_weight", [None, np.float32([1, 10])[:, None, None]])
def test_each_pixel_gets_the_weight_of_its_class(sample_weight):
    weigh = class_weights({"right": 3.0}, Labels((MASK,), (CODES[:0],)))
    weights = weigh(Batch(MASKS, MASKS, sample_weight, ("a", "b")))
    expected = np.where(MASKS == 1, 3, 1) * (1 if sample_weight is None else sample_weight)
    assert weights.dtype == np.float32
    assert np.array_equal(weights[MASKS != 255], expected[MASKS != 255])


def test_pixels_that_are_ignored_weigh_nothing():
    losses = []
    for weight in (1, 50):
        output = output_of(MASK, (2, 2))
        model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Conv2D(2, 1, activation="softmax")])
        model.layers[0].set_weights([np.float32([[[[0.3, 0.1]]]]), np.zeros(2, "f4")])
        compile_model(model, Task(ArraySpec((2, 2, 1), np.dtype("f4")), "none", (output,)), optimizer="sgd")
        weights = np.where(MASKS == 255, weight, 1).astype("f4")
        losses.append(model.test_on_batch(np.ones((2, 2, 2, 1), "f4"), MASKS, sample_weight=weights)[0])
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("ignored", "counts"), [(255, [3, 2]), (0, [0, 2])])
def test_pixels_are_counted_without_ignored_ones(ignored, counts):
    batches = [Batch(MASKS[[row]], MASKS[[row]], None, ("a",)) for row in (0, 1)]
    pixels = count_pixels(Head("", "mask", NAMES, ignored=ignored), batches)
    assert pixels.tolist() == counts
    weights = class_weights("balanced", Labels((MASK,), (CODES[:0],)), np.array([3, 1])).by_code
    np.testing.assert_allclose(weights, [4 / 6, 4 / 2])
