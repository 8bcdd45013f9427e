"""Masks as targets of `loader=custom`: what a batch holds, which head is detected, and what is refused."""

import sys
import types

import numpy as np
import pytest

from runner.data.labels import Head
from runner.errors import RunnerError
from runner.loaders.custom import Custom
from runner.loaders.plan import Plan

X = np.zeros((3, 4, 5, 2), np.uint8)
CODES = np.arange(60).reshape(3, 4, 5) % 3
GRAY = np.zeros((3, 4, 5, 1), np.uint8)


@pytest.fixture
def opened(monkeypatch):
    """Opens the batches of a list as `loader=custom` does, as masks of classes a, b and c unless `keys` differ."""

    def open_batches(*batches, **keys):
        module = types.ModuleType("my_masks")
        module.batches = lambda: list(batches)
        monkeypatch.setitem(sys.modules, "my_masks", module)
        settings = Custom(target="my_masks.batches", **{"class_mode": "mask", "classes": ("a", "b", "c"), **keys})
        dataset = settings.open()
        plan = Plan(num_samples=len(batches), batch_size=1, shuffle=False)
        return dataset.heads, list(settings.build(dataset.splits["train"], plan).epoch(0))

    return open_batches


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8"])
@pytest.mark.parametrize("axis", [False, True])
def test_masks_become_codes_without_channel(opened, dtype, axis):
    y = CODES.astype(dtype)
    heads, (batch,) = opened((X, y[..., None] if axis else y))
    assert heads == (Head("", "mask", ("a", "b", "c")),)
    assert batch.y.dtype == np.uint8
    assert np.array_equal(batch.y, CODES)


def test_ignored_pixels_keep_their_value(opened):
    y = np.where(CODES == 2, 1000, CODES)
    (head,), (batch,) = opened((X, y), ignore_value=1000, classes=("a", "b"))
    assert head.ignored == 1000
    assert batch.y.dtype == np.uint16
    assert np.array_equal(batch.y, y)


def test_weights_get_the_rank_of_masks(opened):
    _, (batch,) = opened((X, CODES, [1, 2, 3]))
    assert batch.sample_weight.shape == (3, 1, 1)
    assert batch.sample_weight.ravel().tolist() == [1, 2, 3]


def test_other_heads_keep_vectors_of_weights(opened):
    modes, classes = {"where": "mask", "what": "sparse"}, {"where": ("a", "b", "c"), "what": 2}
    targets = {"where": CODES, "what": np.array([0, 1, 1])}
    _, (batch,) = opened((X, targets, np.ones(3)), class_mode=modes, classes=classes, ignore_value=9)
    assert {name: weights.shape for name, weights in batch.sample_weight.items()} == {"where": (3, 1, 1), "what": (3,)}


@pytest.mark.parametrize(("x", "y"), [(X, CODES), (GRAY, CODES[..., None]), ({"scan": X, "age": np.ones(3)}, CODES)])
def test_mask_is_detected_by_shape_and_classes(opened, x, y):
    (head,), _ = opened((x, y), class_mode=None)
    assert head.mode == "mask"


def test_images_as_targets_are_reconstructed(opened):
    (head,), _ = opened((GRAY, GRAY), class_mode=None, classes=None)
    assert head.mode == "input"


@pytest.mark.parametrize(
    ("x", "y", "keys", "message"),
    [
        (X, CODES, {"classes": 2}, r"from 0 to 1 for class_mode=mask, got 2 in 20 pixels of a batch; give "),
        (
            X,
            CODES,
            {"classes": 2, "ignore_value": 255},
            r"from 0 to 1, or loader\.ignore_value=255 for",
        ),
        (X, CODES - 1, {}, r"whole numbers from 0 to 2 for class_mode=mask, got -1 in 20 pixels"),
        (X, CODES / 4, {}, r"got 0\.25 in 20 pixels of a batch"),
        (X, CODES[:, :2], {}, r"have the shape of the images, \(3, 4, 5\) for class_mode=mask, got \(3, 2, 5\)"),
        (X, np.eye(3)[CODES], {}, r"have the shape of the images, .* got \(3, 4, 5, 3\)"),
        (np.zeros((3, 7)), CODES, {}, r"x must hold images .* for class_mode=mask, got \(3, 7\)"),
        (X, CODES, {"classes": None}, r"loader\.classes is required for class_mode=mask"),
    ],
)
def test_masks_that_do_not_fit_are_refused(opened, x, y, keys, message):
    with pytest.raises(RunnerError, match=message):
        opened((x, y), **keys)


def test_later_mask_with_another_value_is_refused(opened):
    with pytest.raises(RunnerError, match=r"my_masks\.batches, train, pass 1, batch 1: y must be whole numbers"):
        opened((X, CODES), (X, CODES + 1))
