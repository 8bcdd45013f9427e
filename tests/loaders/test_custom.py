"""`loader=custom`: whose batches come in which order, when hooks are called, and what is refused."""

import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

from runner.data.labels import Head
from runner.errors import ConfigurationError, DataError, RunnerError, WorkerError
from runner.loaders.custom import Custom
from runner.loaders.plan import Plan

pytestmark = pytest.mark.usefixtures("forked_workers")

NUM_SAMPLES = 10


class Numbers:
    """Batch `i` holds the numbers 4i … 4i + 3; notes what it is asked for, and writes all batches to one array."""

    def __init__(self, first=0, count=NUM_SAMPLES, dtype="float64"):
        self.calls, self.x = [], np.empty((4, 1), dtype)
        self.order = first + np.arange(count)

    def __len__(self):
        return -(-len(self.order) // 4)

    def __getitem__(self, step):
        self.calls.append(step)
        numbers = self.order[4 * step : 4 * step + 4]
        self.x[: len(numbers), 0] = numbers
        return self.x[: len(numbers)], (numbers % 2).astype("float32")

    def on_epoch_end(self):
        self.calls.append("end")


class Reversing(Numbers):
    """Turns its order round after each pass, and tells its ids."""

    def on_epoch_end(self):
        self.order = self.order[::-1]

    @property
    def ids(self):
        return [f"n{number}" for number in self.order]


class Slow(Numbers):
    def __getitem__(self, step):
        if step:
            time.sleep(0.5)
        return super().__getitem__(step)


class WithoutLength:
    def __getitem__(self, step):
        return None


def endless(count=4):
    while True:
        yield from finite(count)


def finite(count=4):
    for number in range(count):
        yield np.full((2, 1), number, "float32"), np.array([0, 1])


def failing():
    yield np.zeros((2, 1)), np.zeros(2)
    raise OSError("the disk is gone")


def number():
    return 3


def giving(batch):
    return [BATCHES[batch]]


X = np.zeros((4, 3))
CODES = np.array([0, 1, 2, 1])
BATCHES = {
    "one-hot": (X, np.eye(3)[CODES]),
    "several": (X, np.array([[0, 1], [1, 1], [0, 0], [1, 0]])),
    "zeros and ones": (X, np.array([0.0, 1, 1, 0])),
    "column of booleans": (X, np.array([[True], [False], [True], [False]])),
    "numbers": (X, np.array([0.5, 1, 2, 3])),
    "rows of numbers": (X, np.array([[0.5, 1]] * 4)),
    "codes": (X, CODES),
    "images": (np.zeros((4, 3, 3)), np.zeros((4, 3, 3))),
    "two heads": (X, {"bi": np.array([0.0, 1, 1, 0]), "multi": CODES}),
    "list": (X, [CODES, CODES]),
    "no inputs": ({}, CODES),
    "uneven inputs": ({"a": X, "b": X[:3]}, CODES),
    "text inputs": ({"a": X, "b": np.array(["cat"] * 4)}, CODES),
    "names": (X, np.array(["cat", "dog"])[CODES % 2]),
    "masks": (np.zeros((4, 8, 8, 3)), np.zeros((4, 8, 8, 1))),
    "one sample": (np.zeros((4, 3)), np.array(1.0)),
    "one named input": ({"image": X}, np.eye(3)[CODES]),
    "few weights": (X, np.eye(3)[CODES], np.ones(3)),
    "weights of others": (X, np.eye(3)[CODES], {"p": np.ones(4), "q": np.ones(4)}),
    "weights with nan": (X, np.eye(3)[CODES], [1, 1, np.nan, 1]),
    "nan in x": (np.where(np.arange(3) == 1, np.nan, X), np.eye(3)[CODES]),
    "nan in y": (X, np.array([0.5, np.nan, 1, 2])),
    "four": (X, CODES, CODES, CODES),
    "texts": (np.array([["a"]]), CODES),
    "vector": (CODES, CODES),
    "nothing": X,
}


@pytest.fixture(autouse=True)
def module(monkeypatch):
    """This file as a module of the user's."""
    made = types.ModuleType("my_batches")
    made.__dict__.update({name: value for name, value in globals().items() if callable(value)})
    made.__file__ = __file__
    monkeypatch.setitem(sys.modules, "my_batches", made)


def opened(name, **keys):
    return Custom(target=f"my_batches.{name}", **keys).open()


def load(name, split="train", **keys):
    settings = Custom(target=f"my_batches.{name}", **keys)
    dataset = settings.open()
    return settings.build(
        dataset.splits[split], Plan(num_samples=dataset.batches.steps[split], batch_size=1, shuffle=False)
    )


def numbers(batches):
    return [int(number) for batch in batches for number in batch.x[:, 0]]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_keep_order_and_hook_runs_per_pass(workers):
    loader = load("Numbers", workers=workers)
    data = loader.source._passes._data
    assert numbers(loader.stream(0, 6)) == [*range(NUM_SAMPLES)] * 2
    assert data.calls.count("end") == 2
    assert data.calls[-1] == "end"
    assert sorted(data.calls[:3]) == [0, 1, 2]
    assert sorted(map(str, data.calls)) == sorted(["0", "1", "2", "end"] * 2)


def test_hook_follows_passes_not_epochs():
    loader = load("Numbers")
    data, given = loader.source._passes._data, []
    for first in range(0, 8, 2):  # epochs of 2 steps over passes of 3
        given += numbers(loader.stream(first, 2))
    assert given == [*range(NUM_SAMPLES)] * 2 + [*range(8)]
    assert data.calls == [0, 1, 2, "end", 0, 1, 2, "end", 0, 1]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_repeated_batch_request_is_identical(split):
    """JAX takes a batch to learn its shape, and begins again."""
    loader = load("endless", split, train_steps=4, validation_steps=4, classes=2, validation_arguments={})
    assert numbers(loader.stream(0, 1)) == [0, 0]
    assert numbers(loader.stream(0, 4)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_hook_runs_once_for_a_repeated_batch():
    loader = load("Numbers", arguments={"count": 4})
    data = loader.source._passes._data
    for first in (0, 0, 1, 2):
        assert numbers(loader.stream(first, 1)) == [0, 1, 2, 3]
    assert data.calls == [0, "end", 0, "end", 0, "end"]


def test_batch_that_has_gone_by_is_refused():
    loader = load("Numbers")
    list(loader.stream(0, 4))
    with pytest.raises(DataError, match=r"pass 1, batch 2: .* one order, and the next one is pass 2, batch 1"):
        loader.batch(0, 2)


def test_resumed_run_restarts_the_object():
    """As `resume_inexact=true` has it: the first batch is read for its shape, then those from a later pass on."""
    loader = load("Numbers")
    assert numbers([loader.batch(0, 0)]) == [0, 1, 2, 3]
    assert numbers(loader.stream(7, 3)) == [4, 5, 6, 7, 8, 9, 0, 1, 2, 3]


def test_threads_end_with_the_loader():
    before = threading.active_count()
    with load("Numbers", workers=2) as loader:
        next(iter(loader.stream(1, 3)))
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_kept_batches_survive_array_reuse():
    first, second = list(load("Numbers").epoch(0))[:2]
    assert first.x[:, 0].tolist() == [0, 1, 2, 3]
    assert second.x[:, 0].tolist() == [4, 5, 6, 7]
    assert first.x.dtype == np.float32


def test_ids_are_positions_by_default():
    batches = list(load("Numbers").epoch(0))
    assert [name for batch in batches for name in batch.ids] == [str(number) for number in range(NUM_SAMPLES)]
    loader = load("Reversing")
    for epoch, order in enumerate(([*range(10)], [*range(9, -1, -1)])):
        passed = list(loader.epoch(epoch))
        assert numbers(passed) == order
        assert [name for batch in passed for name in batch.ids] == [f"n{number}" for number in order]


def test_validation_keeps_labels_and_ids():
    keys = {"validation_arguments": {"first": 100, "count": 6}}
    validation, train = load("Numbers", "validation", **keys), load("Numbers", **keys)
    for loader in (validation, train):
        list(loader.epoch(0))
        list(loader.epoch(1))
    assert list(validation.source.ids) == [*"012345"]
    assert validation.source.labels.columns[0].tolist() == [0, 1, 0, 1, 0, 1]
    assert validation.num_samples == 6
    assert (train.num_samples, len(train.source.ids)) == (10, 0)


def test_generator_continues_only_in_training():
    keys = {"train_steps": 3, "validation_steps": 3, "classes": 2, "validation_arguments": {}}
    assert numbers(load("endless", **keys).stream(0, 6)) == [n for n in (0, 1, 2, 3, 0, 1) for _ in "xy"]
    assert numbers(load("endless", "validation", **keys).stream(0, 6)) == [n for n in (0, 1, 2, 0, 1, 2) for _ in "xy"]


def test_finite_generator_restarts_at_its_end():
    loader = load("finite", train_steps=4, classes=2)
    assert numbers(loader.stream(0, 8)) == [n for n in (0, 1, 2, 3) * 2 for _ in "xy"]


def test_generator_ending_early_is_an_error():
    with pytest.raises(
        DataError,
        match=r"finite, train, pass 1, batch 4: it ended after 4 batches, 4 into a pass of loader\.train_steps=6; set "
        r"loader\.train_steps=4 or a divisor of it, or let it give batches without end",
    ):
        list(load("finite", train_steps=6, classes=2).stream(0, 6))


def test_generator_needs_its_number_of_batches():
    with pytest.raises(
        ConfigurationError, match=r"loader\.train_steps is required, because an object of type generator from"
    ):
        opened("endless")


def test_error_of_the_class_names_batch_and_line():
    lines = Path(__file__).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.startswith("    raise OSError("))
    with pytest.raises(DataError) as error:
        list(load("failing", train_steps=3).stream(0, 3))
    assert str(error.value).startswith("my_batches.failing, train, pass 1, batch 1: OSError: the disk is gone (")
    assert str(error.value).endswith(f"test_custom.py, line {line})")


def test_class_that_hangs_is_an_error_in_time():
    with pytest.raises(WorkerError, match=r"within loader\.timeout_seconds=0\.05"):
        list(load("Slow", workers=2, timeout_seconds=0.05).epoch(0))


HEADS = {
    "one-hot": [Head("", "categorical", ("0", "1", "2"))],
    "several": [Head("", "multi_label", ("0", "1"))],
    "zeros and ones": [Head("", "binary", ("0", "1"))],
    "column of booleans": [Head("", "binary", ("0", "1"))],
    "numbers": [Head("", "raw")],
    "rows of numbers": [Head("", "raw", (), ("0", "1"))],
    "images": [Head("", "input")],
}


@pytest.mark.parametrize("batch", HEADS)
def test_first_batch_defines_the_target(batch):
    assert list(opened("giving", arguments={"batch": batch}).heads) == HEADS[batch]


def test_configuration_defines_the_target():
    def heads(batch, **keys):
        return list(opened("giving", arguments={"batch": batch}, **keys).heads)

    assert heads("codes", classes=5) == [Head("", "sparse", ("0", "1", "2", "3", "4"))]
    assert heads("codes", classes=("a", "b", "c")) == [Head("", "sparse", ("a", "b", "c"))]
    assert heads("codes", class_mode="raw") == [Head("", "raw")]
    assert heads("zeros and ones", class_mode="sparse", classes=2) == [Head("", "sparse", ("0", "1"))]
    assert heads("two heads", classes={"multi": 3}) == [
        Head("bi", "binary", ("0", "1")),
        Head("multi", "sparse", ("0", "1", "2")),
    ]


REFUSED = [
    ("codes", {}, r"loader\.classes is required, because y is a vector of whole numbers"),
    ("codes", {"classes": 2}, r"does not fit the first batch: y must be from 0 to 1 for class_mode=sparse, got 0 to 2"),
    (
        "codes",
        {"class_mode": "categorical", "classes": 3},
        r"does not fit the first batch: y must have shape \(4, 3\)",
    ),
    ("one-hot", {"classes": 4}, r"loader\.classes must be 3 for class_mode=categorical .* got 4"),
    ("two heads", {"classes": {"many": 3}}, r"loader\.classes must map outputs that y has \(bi, multi\), got many"),
    ("nothing", {}, r"loader\.target must give \(x, y\) to train and validate, got only x for train"),
    ("list", {}, r"y must be one array, or a dictionary of arrays .* got a list"),
    ("no inputs", {}, r"x must be one array, or a dict of arrays by the names of the model's inputs, got a dict of 0"),
    ("uneven inputs", {}, r"all arrays of x must have the same number of rows, got a 4, b 3"),
    ("text inputs", {}, r"x\['b'\] must hold numbers and have shape"),
    ("names", {}, r"y must hold numbers, got <U3 such as 'cat'; give the numbers of the classes, and their names in"),
    ("names", {"class_mode": "sparse", "classes": ("cat", "dog")}, r"y must hold numbers, got <U3"),
    (
        "masks",
        {"class_mode": "sparse", "classes": 2},
        r"got \(4, 8, 8, 1\); loader\.class_mode=mask takes a class number",
    ),
    ("masks", {}, r"loader\.classes is required for class_mode=mask"),
    (
        "masks",
        {"class_mode": "input"},
        r"y must have the shape of x, \(4, 8, 8, 3\) for class_mode=input, got \(4, 8, 8",
    ),
    ("one sample", {}, r"got a single value; if that is one sample, give batches: x\[None\]"),
    ("few weights", {}, r"batch 0: sample_weight must hold one number for each of 4 samples, got 3"),
    ("weights of others", {}, r"sample_weight must name outputs of y \(it is one array\), got p, q"),
    ("weights with nan", {}, r"sample_weight must hold numbers, got 1 of 4 values is NaN"),
    ("nan in y", {}, r"does not fit the first batch: y must hold numbers, got 1 of 4 values is NaN"),
    ("four", {}, r"a batch must be x, \(x, y\) or \(x, y, sample_weight\), got 4 parts"),
    ("texts", {}, r"x must hold numbers and have shape \(samples, …\), got shape \(1, 1\) of <U1"),
    ("vector", {}, r"x must hold numbers and have shape \(samples, …\), got shape \(4,\) of int64"),
]


@pytest.mark.parametrize(("batch", "keys", "told"), REFUSED)
def test_batch_that_cannot_be_used_is_refused(batch, keys, told):
    with pytest.raises(RunnerError, match=told):
        opened("giving", arguments={"batch": batch}, **keys)


def test_target_that_gives_no_batches_is_refused():
    with pytest.raises(
        ConfigurationError, match=r"must be a Sequence .* my_batches\.number, which gives an object of type int"
    ):
        opened("number")


def test_class_without_a_length_is_refused():
    with pytest.raises(
        ConfigurationError, match=r"__len__, the number of batches per pass; my_batches\.WithoutLength has none"
    ):
        opened("WithoutLength")


def test_steps_of_what_has_a_length_are_refused():
    with pytest.raises(ConfigurationError, match=r"loader\.train_steps must be null, because my_batches\.Numbers has"):
        opened("Numbers", train_steps=2)


def test_batch_unlike_the_first_is_refused():
    class Odd(Numbers):
        def __getitem__(self, step):
            x, y = super().__getitem__(step)
            return (np.hstack([x, x]), y) if step == 2 else (x, y)

    sys.modules["my_batches"].Odd = Odd
    with pytest.raises(DataError, match=r"Odd, train, pass 1, batch 2: samples of x must be 1 .*, got 2 "):
        list(load("Odd").epoch(0))


def test_keys_without_effect_are_normalised():
    settings = Custom(target="a.b", batch_size=7, shuffle=False, use_multiprocessing=True, max_queue_size=3)
    assert settings.normalised() == Custom(target="a.b")
    assert Custom(target="a.b", workers=2, max_queue_size=3).normalised().max_queue_size == 3


def later(*targets):
    """Batches of four samples with these targets, one batch after the other."""
    return [(np.full((4, 1), number, "float32"), np.array(y, "float32")) for number, y in enumerate(targets)]


ONE_HOT = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
SEVERAL = [[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
LATER = {
    "several classes": (
        ONE_HOT,
        SEVERAL,
        {},
        r"categorical \(detected .* got \[1.0, 1.0, 0.0\] in row 0; set",
    ),
    "no class": (ONE_HOT, np.zeros((4, 3)), {}, "set loader.class_mode=multi_label for any number"),
    "categorical as set": (ONE_HOT, SEVERAL, {"class_mode": "categorical"}, "for class_mode=categorical, got"),
    "not binary": ([0, 1, 1, 0], [0, 0.4, 1, 0], {}, r"y must be 0 or 1 for class_mode=binary \(detected .* got 0.4"),
    "above one": ([0, 1, 1, 0], [0, 1.5, 1, 0], {"class_mode": "binary"}, "must be 0 to 1 for class_mode=binary, got"),
    "not whole": (
        [0, 1, 2, 0],
        [0, 1.5, 1, 0],
        {"classes": 3},
        "be whole numbers for class_mode=sparse .* got 1.5",
    ),
    "not several": (SEVERAL, np.full((4, 3), 0.5), {}, "y must be 0 or 1 for class_mode=multi_label"),
    "nan": ([0.5, 1, 2, 3], [0.5, np.nan, 1, 2], {}, "batch 1: y must hold numbers, got 1 of 4 values is NaN"),
}


@pytest.mark.parametrize(("first", "second", "keys", "told"), LATER.values(), ids=LATER)
def test_later_batch_of_another_mode_is_refused(first, second, keys, told, monkeypatch):
    monkeypatch.setattr(sys.modules["my_batches"], "made", lambda: later(first, second), raising=False)
    batches = load("made", **keys).epoch(0)
    next(batches)
    with pytest.raises(DataError, match=told):
        next(batches)


@pytest.mark.parametrize(
    ("first", "second", "keys"),
    [
        (ONE_HOT, np.full((4, 3), 1 / 3), {}),
        ([0, 1, 1, 0], [0.1, 0.9, 1, 0], {"class_mode": "binary"}),
        (SEVERAL, np.full((4, 3), 0.5), {"class_mode": "multi_label"}),
    ],
    ids=["mixed classes", "smoothed", "smoothed several"],
)
def test_shares_of_classes_are_let_through(first, second, keys, monkeypatch):
    monkeypatch.setattr(sys.modules["my_batches"], "made", lambda: later(first, second), raising=False)
    assert len(list(load("made", **keys).epoch(0))) == 2


def test_sample_that_is_no_number_is_named():
    with pytest.raises(DataError, match="batch 0: sample 0: 1 of 3 values is NaN in row 0 of x"):
        next(load("giving", arguments={"batch": "nan in x"}).epoch(0))


def test_single_named_input_is_the_sample():
    assert opened("giving", arguments={"batch": "one named input"}).spec.shape == (3,)


def test_weights_may_differ_by_output(monkeypatch):
    weighted = [(X, {"p": np.zeros(4), "q": np.zeros(4)}, {"q": np.full((4, 1), 2)})]
    monkeypatch.setattr(sys.modules["my_batches"], "made", lambda: weighted, raising=False)
    batch = next(load("made").epoch(0))
    assert {name: weights.tolist() for name, weights in batch.sample_weight.items()} == {"p": [1] * 4, "q": [2] * 4}


class Counted:
    """Keras's `num_batches` in place of a length; None: without an end."""

    def __init__(self, num_batches):
        self.num_batches = num_batches

    def __getitem__(self, step):
        return np.full((2, 1), step, "float32"), np.array([0.0, 1])


class Measured(Numbers):
    def __len__(self):
        return np.ceil(self.order.size / 4)


def test_length_may_be_a_whole_float():
    assert len(load("Measured")) == 3


def test_number_of_batches_is_a_length():
    assert len(load("Counted", arguments={"num_batches": 3})) == 3
    with pytest.raises(ConfigurationError, match=r"must be the number of batches, a whole number, got 2\.5; round"):
        opened("Counted", arguments={"num_batches": 2.5})


def test_data_without_an_end_continues_in_training():
    with pytest.raises(ConfigurationError, match=r"loader\.train_steps is required"):
        opened("Counted", arguments={"num_batches": None})
    keys = {"arguments": {"num_batches": None}, "train_steps": 2, "validation_arguments": {}, "validation_steps": 2}
    for split, second in (("train", [2, 2, 3, 3]), ("validation", [0, 0, 1, 1])):
        loader = load("Counted", split, **keys)
        assert [numbers(loader.epoch(epoch)) for epoch in range(2)] == [[0, 0, 1, 1], second]


def test_dict_of_x_gives_several_inputs():
    ages, images = np.arange(4) / 2, np.zeros((4, 2, 2, 1), np.uint8)
    sys.modules["my_batches"].patients = lambda: [({"age": ages, "image": images}, np.array([0.0, 1, 1, 0]))] * 3
    first, *rest = load("patients").epoch(0)
    assert {name: (array.shape, array.dtype.name) for name, array in first.x.items()} == {
        "age": ((4, 1), "float32"),
        "image": ((4, 2, 2, 1), "uint8"),
    }
    assert first.x["age"].ravel().tolist() == [0, 0.5, 1, 1.5] and len(rest) == 2
    assert not np.shares_memory(first.x["image"], images)


def test_later_dict_of_other_arrays_is_refused():
    x = {"a": np.zeros((4, 2)), "b": np.zeros((4, 1))}
    later_batches = {
        r"x must have the arrays of the first batch, a 2 float32, b 1 float32, got c, d": {"c": x["a"], "d": x["b"]},
        r"samples of x\['b'\] must be 1 float32, as in the first batch, got 3 float64": {**x, "b": np.zeros((4, 3))},
        r"sample 5: b: 1 of 1 value is NaN in row 1 of x": {**x, "b": np.array([[0], [np.nan], [0], [0]])},
    }
    for told, later_x in later_batches.items():
        sys.modules["my_batches"].mixed = lambda other=later_x: [(x, np.zeros(4)), (other, np.zeros(4))]
        with pytest.raises(DataError, match=told):
            list(load("mixed").epoch(0))
