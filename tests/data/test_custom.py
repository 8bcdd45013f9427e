"""`data=custom`: what a class of the user's may have, and what is said of one that does not fit."""

import sys

import numpy as np
import pytest

from runner import build_loader, compose
from runner.data.custom import Custom
from runner.data.labels import Head
from runner.errors import BadSampleError, ConfigurationError, DataError, UserReadError

pytestmark = pytest.mark.usefixtures("forked_workers")

MINE = """
import numpy as np

class Plain:
    def __init__(self, count=24, bad=None):
        self.count, self.bad = count, bad
        self.labels = [["cat", "dog", "owl"][index % 3] for index in range(count)]
    def __len__(self):
        return self.count
    def read(self, index):
        if index == self.bad:
            return np.zeros((4, 5), np.uint8)
        return np.full((4, 4, 1), index, np.uint8)

class Named(Plain):
    def __init__(self, count=24):
        super().__init__(count)
        self.ids = [f"s/{index}" for index in range(count)]
        tags = [["a"], ["a", "b"], []] * (count // 3)
        self.labels = {"kind": self.labels, "size": np.arange(count) / 2, "tags": tags}
        self.splits = ["train"] * (count - 8) + ["Valid"] * 4 + ["testing"] * 4

class Rows(Plain):
    def __init__(self, count=24):
        super().__init__(count)
        self.labels = np.arange(2 * count, dtype=float).reshape(count, 2)

class Twice(Plain):
    ids = ["a", "b"] * 12

class Short(Plain):
    ids = ["a", "b"]

class Odd(Plain):
    splits = ["train", "tset"] * 12

class Fails(Plain):
    def read(self, index):
        if index:
            raise RuntimeError("no disk")
        return super().read(index)

class Tensor:
    # Values that only NumPy reads, as those of TensorFlow and PyTorch.
    def __init__(self, values):
        self.values = values
    def __len__(self):
        return len(self.values)
    def __getitem__(self, index):
        return Tensor(self.values[index])
    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values)
    __hash__ = None

class Indexed(Plain):
    def __init__(self):
        import pandas as pd
        super().__init__(4)
        index = [7, 9, 8, 5]
        self.ids, self.splits = pd.Series(list("abcd"), index), pd.Series([b"train"] * 4, index)
        self.labels = pd.DataFrame({"kind": list("xyxy"), "size": [1, 2, 3, 4]}, index)

class Tensors(Plain):
    def __init__(self):
        super().__init__(4)
        self.labels = {"one": Tensor([3, 5, 3, 5]), "each": [Tensor(number) for number in (1, 2, 2, 1)],
                       "rows": Tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]),
                       "bytes": np.array([b"a", b"b"] * 2)}

class Device(Plain):
    class labels:
        def __len__(self): return 24
        def __array__(self, dtype=None, copy=None): raise TypeError("can't convert cuda:0 device type tensor")
    labels = labels()
    def __init__(self):
        self.count, self.bad = 24, None

class Scalar(Plain):
    def read(self, index):
        return float(index)

class Half(Plain):
    def __len__(self):
        return 2.5

class Torn(Plain):
    ids = ["\\ud800"] + [str(number) for number in range(23)]

class Locked(Plain):
    def __init__(self):
        import threading
        super().__init__()
        self.lock = threading.Lock()

class Marks(Plain):
    labels = np.eye(3, dtype=int)[np.arange(24) % 3]
    def __init__(self):
        self.count, self.bad = 24, None

class Texts(Plain):
    def read(self, index):
        return "text"

class Patients(Plain):
    def read(self, index):
        numbers = {"age": index / 2, "image": super().read(index), "tags": [1, 2]}
        return dict(reversed(numbers.items())) if index % 2 else numbers

class Only(Plain):
    def read(self, index):
        return {"image": super().read(index)}

class Loses(Patients):
    def read(self, index):
        given = super().read(index)
        return given if index < 4 else {"age": given["age"], "image": given["image"]}

class Nothing(Plain):
    def read(self, index):
        return {}

class Files(Plain):
    def path(self, index):
        return [f"left/{index}.png", f"right/{index}.png"]

class Lacks:
    labels = []
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    file = tmp_path / "mine_s.py"
    file.write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield file
    sys.modules.pop("mine_s", None)


def opened(name, **keys):
    return Custom(target=f"mine_s.{name}", **keys).open()


def build(*keys, split="train"):
    given = ["extensions=[mine_s]", "data=custom", "loader.batch_size=5", *keys]
    return build_loader(compose(given), split)


def test_minimal_class_is_split_by_fraction(module):
    dataset = opened("Plain", test_split=0.2)
    ids = [name for source in dataset.splits.values() for name in source.ids]
    assert sorted(ids, key=int) == [str(index) for index in range(24)]
    assert dataset.heads == (Head("", "sparse", ("cat", "dog", "owl")),)
    assert dataset.files == (module,)


def test_object_defines_splits_ids_and_labels():
    dataset = opened("Named", class_mode={"kind": "categorical", "size": "raw", "tags": "multi_label"})
    assert {split: len(source) for split, source in dataset.splits.items()} == {"train": 16, "validation": 4, "test": 4}
    test = dataset.splits["test"]
    assert test.ids == ["s/20", "s/21", "s/22", "s/23"]
    y = test.labels.encode(np.arange(4), np.zeros(4))
    np.testing.assert_array_equal(y["kind"], np.eye(3, dtype=np.float32)[[2, 0, 1, 2]])
    np.testing.assert_array_equal(y["size"], np.float32([10, 10.5, 11, 11.5]))
    np.testing.assert_array_equal(y["tags"], np.float32([[0, 0], [1, 0], [1, 1], [0, 0]]))


def test_rows_of_numbers_are_one_target():
    dataset = opened("Rows", class_mode="raw")
    assert dataset.heads == (Head("", "raw", value_names=("0", "1")),)
    assert dataset.splits["train"].labels.columns[0].shape[1] == 2


def test_labels_of_pandas_are_taken_by_position():
    train = opened("Indexed", class_mode={"kind": "sparse", "size": "raw"}, validation_split=0.0).splits["train"]
    assert list(train.ids) == list("abcd")
    assert [column.tolist() for column in train.labels.columns] == [[0, 1, 0, 1], [1, 2, 3, 4]]


def test_labels_of_tensors_are_their_values():
    modes = {"one": "sparse", "each": "sparse", "rows": "multi_label", "bytes": "sparse"}
    dataset = opened("Tensors", class_mode=modes, validation_split=0.0)
    assert [head.class_names for head in dataset.heads] == [("3", "5"), ("1", "2"), ("0", "1", "2"), ("a", "b")]
    columns = dataset.splits["train"].labels.columns
    assert columns[0].tolist() == [0, 1, 0, 1]
    assert columns[2].tolist() == [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]


def test_object_that_cannot_travel_is_refused():
    keys = ["data.target=mine_s.Locked", "loader.use_multiprocessing=true", "loader.workers=2"]
    message = r"by pickle, which failed: TypeError: cannot pickle '_thread\.lock' object; make such .* in __getstate__"
    with pytest.raises(ConfigurationError, match=message):
        build(*keys)
    with build(keys[0], "loader.workers=2") as loader:
        assert len(next(loader.epoch(0))) == 5


def test_arguments_are_the_classs():
    assert sum(map(len, opened("Plain", arguments={"count": 6}).splits.values())) == 6


@pytest.mark.parametrize(
    "way",
    [
        ["loader=in_memory", "loader.workers=2"],
        ["loader=sequence", "loader.workers=3"],
        ["loader=sequence", "loader.workers=2", "loader.use_multiprocessing=true"],
    ],
    ids=["in_memory", "threads", "processes"],
)
def test_every_way_gives_the_same_batches(way):
    with build("data.target=mine_s.Plain", "loader=generator") as one, build("data.target=mine_s.Plain", *way) as other:
        for epoch in range(2):
            for expected, batch in zip(one.epoch(epoch), other.epoch(epoch), strict=True):
                assert batch.ids == expected.ids
                np.testing.assert_array_equal(batch.x, expected.x)
                np.testing.assert_array_equal(batch.y, expected.y)
                assert [str(x[0, 0, 0]) for x in batch.x] == list(batch.ids)


def test_mistake_of_the_code_is_no_bad_sample():
    with (
        build("data.target=mine_s.Fails", "data.on_bad=skip", "loader=generator") as loader,
        pytest.raises(UserReadError, match=r"read\(\d+\) failed: .*RuntimeError: no disk"),
    ):
        list(loader.epoch(0))


def test_sample_that_is_damaged_is_passed_over():
    keys = ["data.target=mine_s.Plain", "data.arguments={bad: 7}", "data.validation_split=0.0", "data.on_bad=skip"]
    with build(*keys, "loader.workers=2") as loader:
        assert {name for batch in loader.epoch(0) for name in batch.ids} == {str(i) for i in range(24)} - {"7"}


@pytest.mark.parametrize("workers", [["loader.workers=2"], ["loader.workers=2", "loader.use_multiprocessing=true"]])
def test_sample_unlike_the_first_is_named(workers):
    loader = build("data.target=mine_s.Plain", "data.arguments={bad: 7}", "data.validation_split=0.0", *workers)
    with loader, pytest.raises(BadSampleError) as refused:
        list(loader.epoch(0))
    assert str(refused.value) == (
        "7: read(7) must return an array like that of the first sample, 4×4×1 uint8, got 4×5 uint8"
    )


def test_failing_read_reports_sample_and_line(module):
    line = next(n for n, text in enumerate(MINE.splitlines(), 1) if "no disk" in text)
    with build("data.target=mine_s.Fails", "loader=generator") as loader, pytest.raises(BadSampleError) as refused:
        list(loader.epoch(0))
    assert (
        str(refused.value).partition(": ")[2].partition(" failed: ")[2]
        == f"RuntimeError: no disk ({module}, line {line})"
    )


@pytest.mark.parametrize(
    ("name", "keys", "error", "message"),
    [
        ("Lacks", {}, ConfigurationError, r"must have __len__ and read\(index\), but has no __len__ and no read"),
        ("Plain", {"arguments": {"root": 1}}, ConfigurationError, r"\(root\): got an unexpected keyword .* 'root'; "
         r"data\.arguments must be those of mine_s\.Plain\(count=24, bad=None\)"),
        ("Plain", {"arguments": {"count": 0}}, DataError, r"mine_s\.Plain must have samples, but its __len__ is 0"),
        ("Twice", {}, DataError, r"mine_s\.Twice: ids must be unique, got several times: a, b"),
        ("Half", {}, ConfigurationError, r"mine_s\.Half\.__len__ must return the number of samples, .* TypeError"),
        ("Torn", {}, DataError, r"mine_s\.Torn: ids must be text that a file can hold, got '\\ud800'"),
        ("Scalar", {}, BadSampleError, "0: read.* must return an array with at least one axis, got a single number"),
        ("Device", {}, DataError, "label must be a list or a NumPy array, .* TypeError: can't convert cuda:0"),
        ("Marks", {}, DataError, "got 3; .*data.class_mode=multi_label reads rows of 0 and 1"),
        ("Short", {}, DataError, r"mine_s\.Short: ids must have one value for each of 24 samples, got 2 values"),
        ("Odd", {}, DataError, r"mine_s\.Odd: splits must be train, .* got tset"),
        ("Texts", {}, BadSampleError, r"0: read\(0\) must return an array of numbers, got one of <U4"),
        ("Rows", {}, DataError, "labels of label must be one value per sample for data.class_mode=sparse, got 2; give"),
        ("Plain", {"class_mode": "binary"}, DataError, "class_mode=binary needs 2 classes, got 3"),
        ("Named", {"class_mode": {"kidn": "sparse"}}, DataError, r"names in mine_s\.Named\.labels, kind, size, tags"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(name, keys, error, message):
    with pytest.raises(error, match=message):
        opened(name, **keys)


def test_directory_flow_needs_files():
    with pytest.raises(ConfigurationError, match="loader=directory_flow needs one file per sample"):
        build("data.target=mine_s.Plain", "loader=directory_flow")


def test_dict_gives_the_model_several_inputs():
    with build("data.target=mine_s.Patients", "loader=sequence", "loader.workers=2") as loader:
        batch = loader.batch(0, 0)
    assert {name: (array.shape[1:], array.dtype.name) for name, array in batch.x.items()} == {
        "age": ((1,), "float32"),
        "image": ((4, 4, 1), "uint8"),
        "tags": ((2,), "int64"),
    }
    assert (batch.x["age"][:, 0] * 2).astype(int).astype(str).tolist() == list(batch.ids)


def test_dict_of_one_array_is_that_array():
    with build("data.target=mine_s.Only") as loader:
        assert loader.batch(0, 0).x.shape[1:] == (4, 4, 1)


@pytest.mark.parametrize(
    ("target", "keys", "told"),
    [
        (
            "Loses",
            [],
            r"must return arrays like those of the first sample, age 1 float32, image 4×4×1 uint8, tags 2 int64",
        ),
        ("Nothing", [], r"read\(\d+\) must return an array, or a dict of arrays, got an empty dict"),
        (
            "Patients",
            ["data.class_mode=input"],
            "predicts the sample, which must be one array, got age",
        ),
    ],
)
def test_dict_that_does_not_fit_is_refused(target, keys, told):
    with pytest.raises((BadSampleError, DataError), match=told), build(f"data.target=mine_s.{target}", *keys) as loader:
        list(loader.epoch(0))


def test_sample_may_have_several_files():
    with build("data.target=mine_s.Files") as loader:
        first = loader.source.ids[0]
        assert [place.file for place in loader.source.places(0)] == [f"left/{first}.png", f"right/{first}.png"]
        assert loader.source.has_bytes
