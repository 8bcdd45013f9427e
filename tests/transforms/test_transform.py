"""The user's own function: its random numbers, and what it may return."""

import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.errors import DataError
from runner.fields import Fields, spec_of
from runner.transforms.transform import UserTransform, informed, transformed_spec

FLOATS = ArraySpec((4,), np.dtype(np.float32))


def noise(array, rng):
    return rng.random(4)


def transform(function=noise, spec=FLOATS, **keys):
    return UserTransform("m.f", function, spec, **{"seed": 0, "training": True, **keys})


def test_random_numbers_depend_on_sample_and_epoch():
    given = {
        transform(seed=seed)(np.zeros(2), epoch, index).tobytes()
        for seed in range(3)
        for epoch in range(3)
        for index in range(3)
    }
    assert len(given) == 27
    assert np.array_equal(transform()(np.zeros(2), 1, 2), transform()(np.zeros(2), 1, 2))


def test_other_splits_are_the_same_in_every_epoch():
    held_out = transform(training=False)
    assert np.array_equal(held_out(np.zeros(2), 0, 5), held_out(np.zeros(2), 9, 5))
    assert not np.array_equal(held_out(np.zeros(2), 0, 5), held_out(np.zeros(2), 0, 6))


def test_first_sample_defines_shape_and_dtype():
    first = np.zeros((3, 5), np.uint8)
    assert transformed_spec("m.f", noise, first, 0) == FLOATS
    assert transformed_spec("m.f", lambda array, rng: array[:2], first, 0) == ArraySpec((2, 5), np.dtype(np.uint8))
    assert transform()(first, 0, 0).dtype == np.float32


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (None, "data.transform=m.f must return a NumPy array of numbers, got NoneType"),
        ([1.0], "data.transform=m.f must return a NumPy array of numbers, got list"),
        (np.array(["a"]), "data.transform=m.f must return a NumPy array of numbers, got an array of <U1"),
        (
            np.zeros((2, 3), np.uint8),
            "data.transform=m.f must return 4 float32 for every sample, as for the first; got 2×3 uint8",
        ),
        (np.zeros(4, np.float16), "4 float32 for every sample, as for the first; got 4 float16"),
    ],
)
def test_other_results_are_refused(returned, told):
    with pytest.raises(DataError) as refused:
        transform(lambda array, rng: returned)(np.zeros(2), 0, 0)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (lambda array, rng: "nothing", "nothing"),
        (lambda array, rng, split: split, "validation"),
        (lambda array, rng, *, training, split="": (training, split), (False, "validation")),
        (lambda array, rng, strength=3: strength, 3),
        (lambda array, rng, **others: others, {}),
    ],
)
def test_function_gets_the_facts_that_it_names(function, given):
    assert informed(function, split="validation", training=False)(None, None) == given


def test_function_without_a_signature_is_called():
    assert informed(max, split="train")(1, 2) == 2


@pytest.mark.parametrize("returned", [np.array(1.0), np.ones((0, 3))])
def test_results_without_values_are_refused(returned):
    with pytest.raises(DataError, match="must return an array of values along at least one axis, got shape"):
        transformed_spec("m.f", lambda array, rng: returned, np.zeros(2), 0)


def test_dict_gives_several_arrays_by_name():
    both = Fields({"image": np.ones(2, np.uint8), "age": np.ones(1, np.float32)})
    doubled = transform(lambda sample, rng: {name: 2 * sample[name] for name in ("age", "image")}, spec_of(both))
    changed = doubled(both, 0, 0)
    assert {name: array.tolist() for name, array in changed.arrays.items()} == {"image": [2, 2], "age": [2]}
    assert list(changed.arrays) == ["image", "age"]


@pytest.mark.parametrize("given", [np.zeros(4, np.float32), {"only": np.zeros(4, np.float32)}])
def test_dict_of_one_array_is_that_array(given):
    assert transformed_spec("m.f", lambda array, rng: given, np.zeros(2), 0) == FLOATS


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ({}, "must return an array, or a dict of arrays by name, got an empty dict"),
        ({"a": np.zeros(2), "b": 1.0}, "must return for b a NumPy array of numbers, got float"),
        ({"a": np.zeros(2), "b": np.zeros(())}, "must return for b an array of values along at least one axis"),
    ],
)
def test_dict_that_holds_no_arrays_is_refused(returned, told):
    with pytest.raises(DataError, match=told):
        transformed_spec("m.f", lambda array, rng: returned, np.zeros(2), 0)
