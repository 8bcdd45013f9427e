"""`data=npy`: what its JSON files may say, and what an `.npy` file must be."""

import contextlib
import io
import json
import os
import unicodedata

import numpy as np
import pytest

from runner.data.npy import Npy
from runner.errors import BadSampleError, DataError
from tests.support.clocks import calls_of

SHAPE = (3, 2)


@pytest.fixture
def make(tmp_path):
    """Writes arrays, a partition and labels; gives the data component over them."""

    def write(arrays, partition, labels=None, **keys):
        for name, array in arrays.items():
            file = tmp_path / "data" / f"{name}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, array)
        for name, content in (("partition", partition), ("labels", labels)):
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            (tmp_path / f"{name}.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        keys = {"validation_split": 0.0, "labels": tmp_path / "labels.json", **keys}
        return Npy(root=tmp_path / "data", partition=tmp_path / "partition.json", **keys)

    return write


@pytest.fixture
def one(make):
    """A source of one good file `a`, and a second file `b` with the given bytes or array."""

    def write(second):
        data = make({"a": np.zeros(SHAPE, np.float32)}, {"train": ["a", "b"]}, class_mode=None)
        file = data.root / "b.npy"
        np.save(file, second) if isinstance(second, np.ndarray) else file.write_bytes(second)
        return data.open().splits["train"]

    return write


def samples(number, dtype=np.float32):
    rng = np.random.default_rng(0)
    return {f"id-{i}": (100 * rng.normal(size=SHAPE)).astype(dtype) for i in range(number)}


def saved(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def test_samples_follow_partition_order(make):
    arrays = samples(4)
    partition = {"train": ["id-3", "id-0"], "val": ["id-2"], "test": ["id-1"]}
    dataset = make(arrays, partition, {"id-0": 0, "id-1": 1, "id-2": 0, "id-3": 1}).open()
    assert {split: list(source.ids) for split, source in dataset.splits.items()} == {
        "train": ["id-3", "id-0"], "validation": ["id-2"], "test": ["id-1"],
    }  # fmt: skip
    assert dataset.splits["train"].labels.columns[0].tolist() == [1, 0]
    assert np.array_equal(dataset.splits["train"].read(0), arrays["id-3"])


def test_ids_may_name_folders(make):
    data = make({"p1/scan": np.ones(SHAPE), "p2/deep/scan": np.zeros(SHAPE)}, {"train": ["p1/scan", "p2/deep/scan"]},
                class_mode=None)  # fmt: skip
    assert data.open().splits["train"].sample_name(1) == str(data.root / "p2" / "deep" / "scan.npy")


def test_ids_of_a_mac_find_their_files(make):
    one, two = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    dataset = make({one: np.ones(SHAPE), "a": np.zeros(SHAPE)}, {"train": [two, "a"]}, {one: 1, "a": 0}).open()
    source = dataset.splits["train"]
    assert list(source.ids) == [one, "a"]
    assert source.labels.columns[0].tolist() == [1, 0]


def test_fraction_replaces_missing_validation(make):
    arrays = samples(50)
    splits = make(arrays, {"train": list(arrays)}, class_mode=None, validation_split=0.5).open().splits
    assert 10 < len(splits["validation"]) < 40
    assert len(splits["train"]) + len(splits["validation"]) == 50


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"id-0": 10, "id-1": 9, "id-2": 10}, ("9", "10")),
        ({"id-0": "cat", "id-1": "ant", "id-2": "cat"}, ("ant", "cat")),
    ],
)
def test_classes_sort_by_number_or_name(make, labels, names):
    dataset = make(samples(3), {"train": list(labels)}, labels).open()
    assert dataset.heads[0].class_names == names
    assert dataset.splits["train"].labels.columns[0].tolist() == [1, 0, 1]


@pytest.mark.parametrize("mode", ["categorical", "binary", "sparse", "input", None])
def test_class_modes_have_the_dtypes_of_keras(make, mode):
    data = make(samples(2), {"train": ["id-0", "id-1"]}, {"id-0": 0, "id-1": 1}, class_mode=mode)
    source = data.open().splits["train"]
    x = np.stack([source.read(0), source.read(1)])
    y = source.labels.encode(np.arange(2), x)
    expected = {"categorical": np.eye(2), "input": x, None: None}.get(mode, np.arange(2))
    assert y is None if expected is None else (y.dtype == np.float32 and np.array_equal(y, expected))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", "float64", ">f4", ">i8", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_plain_dtype_and_order_is_read(make, dtype, order):
    arrays = {name: np.asarray(array, order=order) for name, array in samples(2, dtype).items()}
    source = make(arrays, {"train": list(arrays)}, class_mode=None).open().splits["train"]
    assert source.spec.dtype == (np.float32 if dtype == "float64" else np.dtype(dtype).newbyteorder("="))
    for index, array in enumerate(arrays.values()):
        assert np.array_equal(source.read(index), array.astype(source.spec.dtype))


@pytest.mark.parametrize(
    "content",
    [
        saved(np.arange(6, dtype=np.float32).reshape(SHAPE), (2, 0)),
        saved(np.arange(6, dtype=">f4").reshape(SHAPE)),
        saved(np.asarray(np.arange(6, dtype=np.float32).reshape(SHAPE), order="F")),
    ],
    ids=["another version", "another byte order", "another order"],
)
def test_equivalent_npy_header_is_read(one, content):
    assert np.array_equal(one(content).read(1), np.arange(6).reshape(SHAPE))
    out = np.zeros((3, *SHAPE), np.float32)
    one(content).read_many(np.array([1, 0, 1]), out)
    assert np.array_equal(out[0], np.arange(6).reshape(SHAPE))
    assert np.array_equal(out[0], out[2])
    assert not out[1].any()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (np.zeros((2, 3), np.float32), r"holds float32 of shape \(2, 3\); expected float32 of shape \(3, 2\)"),
        (np.zeros(SHAPE, np.int32), r"holds int32 of shape \(3, 2\); expected float32 of shape \(3, 2\)"),
        (saved(np.zeros(SHAPE, np.float32))[:-5], "ends after 19 of 24 bytes of values; expected float32"),
        (saved(np.zeros(SHAPE, np.float32))[:40], "ends within its header; expected"),
        (saved(np.zeros(SHAPE, ">f4"))[:-1], "ends after 23 of 24 bytes of values; expected"),
        (b"", "is empty; expected"),
        (b"PK\3\4 not an array at all" * 20, "is not an .npy file; expected"),
        (b"\x93NUMPY\1\0" + b"\xff" * 300, "has a damaged header"),
        (b"\x93NUMPY\1\0\4\0{bad" + b"\0" * 300, "has a damaged header"),
        (np.array([[{}, 1]] * 3, object), "holds pickled Python objects, which are never loaded; expected"),
    ],
)  # fmt: skip
def test_bad_file_reports_found_and_expected(one, content, reason):
    with pytest.raises(BadSampleError, match=f"b.npy: the file {reason}"):
        one(content).read(1)
    source = one(content)
    with pytest.raises(BadSampleError, match=f"b.npy: the file {reason}"):
        source.read_many(np.arange(2), np.zeros((2, *SHAPE), np.float32))


def test_missing_file_is_found_when_it_is_read(make):
    source = make(samples(1), {"train": ["id-0", "gone"]}, class_mode=None).open().splits["train"]
    with pytest.raises(BadSampleError, match=r"data/gone.npy: no such file"):
        source.read(1)


def test_missing_file_is_named_by_the_fingerprint(make):
    dataset = make(samples(1), {"train": ["id-0", "gone"]}, class_mode=None).open()
    with pytest.raises(BadSampleError, match=r"data/gone.npy: no such file"):
        list(dataset.stat())


def test_missing_file_is_a_bad_sample(make):
    dataset = make(samples(1), {"train": ["id-0", "gone"]}, class_mode=None, on_bad="skip").open()
    (good, *_), gone, _ = dataset.stat()
    assert (good, gone) == ("id-0", ("gone", -1, -1))


@pytest.mark.parametrize("on_bad", ["raise", "skip"])
def test_first_readable_file_defines_the_spec(on_bad, make):
    data = make(samples(2), {"train": ["gone", "torn", "id-0", "id-1"]}, class_mode=None, on_bad=on_bad)
    (data.root / "torn.npy").write_bytes(b"no array")
    if on_bad == "raise":
        with pytest.raises(BadSampleError, match=r"data/gone.npy: no such file"):
            data.open()
    else:
        assert data.open().spec.shape == SHAPE


def test_unreadable_data_is_always_refused(make):
    data = make(samples(1), {"train": [f"gone-{number}" for number in range(9)]}, class_mode=None, on_bad="skip")
    with pytest.raises(BadSampleError, match=r"data/gone-8.npy: no such file"):
        data.open()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array("text"), "samples must be whole numbers, floats or booleans, got <U4"),
        (np.zeros(2, complex), "samples must be whole numbers, floats or booleans, got complex128"),
        (np.float32(3), r"samples must hold values along at least one axis, got float32 of shape \(\)"),
        (np.zeros((0, 3)), r"samples must hold values along at least one axis, got float64 of shape \(0, 3\)"),
        (np.array([{}]), "the file holds pickled Python objects, which are never loaded; expected an .npy file"),
    ],
)
def test_first_file_of_wrong_kind_is_refused(make, array, reason):
    with pytest.raises(BadSampleError, match=f"a.npy: {reason}"):
        make({"a": array}, {"train": ["a"]}, class_mode=None).open()


def header_with(shape, body=64):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + b"\0" * body


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (header_with("(-4, 4)"), r"the file has an impossible shape, \(-4, 4\)"),
        (header_with("(True, 4)"), r"the file has an impossible shape, \(True, 4\)"),
        (header_with(f"({10**30},)"), r"the file has an impossible shape, \(10{30},\)"),
        (header_with("(5000000000, 1)"), "the file ends after 64 of 20,000,000,000 bytes of values"),
        *((b"\x93NUMPY\1\0\x76\0{"[:length], "the file ends within its header") for length in (6, 7, 8, 9, 11)),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_header_that_cannot_be_is_a_bad_sample(make, content, reason, first):
    data = make(
        {"a": np.zeros((2, 2), np.float32), "b": np.zeros((2, 2), np.float32)}, {"train": ["a", "b"]}, class_mode=None
    )
    (data.root / ("a.npy" if first else "b.npy")).write_bytes(content)
    reason = reason if first or "20,000" not in reason else "the file holds float32"
    with pytest.raises(BadSampleError, match=reason):
        source = data.open().splits["train"]
        source.read_many(np.arange(2), np.empty((2, 2, 2), np.float32))


@pytest.mark.parametrize("first", [True, False])
def test_pipe_is_a_bad_sample_and_blocks_nobody(make, first):
    arrays = {"a": np.zeros((2, 2), np.float32), "b": np.zeros((2, 2), np.float32)}
    data = make(arrays, {"train": ["a", "b"]}, class_mode=None)
    file = data.root / ("a.npy" if first else "b.npy")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(BadSampleError, match="the file is a pipe or a device"):
        data.open().splits["train"].read_many(np.arange(2), np.empty((2, 2, 2), np.float32))


def test_first_missing_file_is_refused(make):
    with pytest.raises(BadSampleError, match=r"a.npy: no such file"):
        make({}, {"train": ["a"]}, class_mode=None).open()


def test_reading_leaves_no_file_open(one):
    source = one(b"not an array")
    before = len(os.listdir("/proc/self/fd"))
    for index in (0, 1) * 5:
        with contextlib.suppress(BadSampleError):
            source.read(index)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        ('{"train": ["a"', "partition.json must be a JSON file: "),
        (["a"], r"partition.json must hold one JSON object, \{…\}; got a list"),
        ({"trian": ["a"]}, r"keys train, validation \(or val\) and test, got 'trian'; did you mean 'train'"),
        ({"test": ["a"]}, "must list ids under train, got test"),
        ({"train": []}, "must list ids under train, got train"),
        ({"train": ["a"], "val": ["b"], "validation": []}, "must list each split once, got both validation and val"),
        ({"Train": ["a"], "dev": ["b"], "Valid": []}, "must list each split once, got both Valid and dev"),
        ('{"train": ["a"], "train": ["b"]}', "JSON file: each key must be given once, got 'train' more than once"),
        ({"train": "a"}, "must have a list of ids under train, got a"),
        ({"train": ["a", 1.5, None]}, "must list ids as text under train, got 1.5, None"),
        ({"train": ["../a"]}, "relative paths below data.root, without ..; got '../a' under train"),
        ({"train": ["a", "b/../../c", "/etc/d", "x//y", ""]}, "got 'b/../../c', '/etc/d', 'x//y', ''"),
        ({"train": ["a", "\ud800"]}, r"relative paths below data.root, without ..; got '\\ud800' under train"),
        ({"train": ["a", "b\0"]}, r"got 'b\\x00' under train"),
        ({"train": ["a", "b"], "test": ["b"]}, r"list each id once, got 1 more than once: 'b' \(train and test\)"),
        ({"train": ["a", "a"]}, r"got 1 more than once: 'a' \(2 times in train\)"),
    ],
)  # fmt: skip
def test_partition_that_cannot_be_used_is_refused(make, partition, message):
    with pytest.raises(DataError, match=message):
        make(samples(1), partition, class_mode=None).open()


def test_ids_that_are_numbers_are_text(make):
    dataset = make({"7": np.ones(SHAPE)}, {"train": [7]}, class_mode=None).open()
    assert list(dataset.splits["train"].ids) == ["7"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"id-0": 0}, r"labels.json must have a label for every id, got none for 2 of them: 'id-1', 'id-2'$"),
        ({"0": 0, "1": 1}, "got none for 3 of them: 'id-0', 'id-1', 'id-2'; its ids are '0', '1'$"),
        ({"id-0": 0, "id-1": 0.5, "id-2": 1}, "for 'id-1', got 0.5; numbers are predicted with data.class_mode=raw"),
        ({"id-0": 0, "id-1": 1.0, "id-2": 1}, "for 'id-1', got 1.0; write 1, or predict numbers with"),
        ({"id-0": 0, "id-1": None, "id-2": 1}, "must have a class number or name for 'id-1', got null$"),
        ({"id-0": 0, "id-1": 0, "id-2": 1}, r"needs at least 2 classes, got 1 \(0\)"),
        ({"id-0": 0, "id-1": 1, "id-2": 7}, "must have only classes of the training ids, got '7' of 'id-2'"),
        ({"id-0": " ", "id-1": 1, "id-2": 1}, "must have a class number or name for 'id-0', got ' '"),
        ({"id-0": 0, "id-1": "\ud800", "id-2": 1}, r"must have a class number or name for 'id-1', got '\\ud800'"),
        ('{"id-0": 0, "id-1": 1, "id-1": 2}', "each key must be given once, got 'id-1' more than once"),
        ('{"id-0"', "labels.json must be a JSON file: "),
        (
            b"\x80\x04}.",
            r"must be a JSON file, got a pickle, which is never loaded; write it with json\.dump",
        ),
    ],
)
def test_labels_that_cannot_be_used_are_refused(make, labels, message):
    with pytest.raises(DataError, match=message):
        make(samples(3), {"train": ["id-0", "id-1"], "test": ["id-2"]}, labels).open()


def test_missing_paths_are_named(tmp_path):
    data = Npy(root=tmp_path / "r", partition=tmp_path / "p", labels=tmp_path / "l")
    assert [key for key, _ in data.missing_paths()] == ["root", "partition", "labels"]
    unlabelled = Npy(root=tmp_path / "r", partition=tmp_path / "p", labels=tmp_path / "l", class_mode=None)
    assert [key for key, _ in unlabelled.missing_paths()] == ["root", "partition"]


def test_data_may_lack_classes_of_a_model(make):
    trained = make(samples(3), {"train": ["id-0", "id-1", "id-2"]}, {"id-0": "a", "id-1": "b", "id-2": "c"}).open()
    other = make({}, {"train": ["id-1"]}, {"id-1": "c"}).open_for(trained.heads)
    assert other.heads == trained.heads
    assert other.splits["train"].labels.columns[0].tolist() == [2]


def test_opening_many_ids_reads_no_files(make):
    ids = [f"p{i % 100}/id-{i}" for i in range(20_000)]
    data = make({ids[0]: np.zeros(SHAPE)}, {"train": ids}, {name: i % 7 for i, name in enumerate(ids)})
    assert calls_of(data.open) < 300_000  # 12 per id; a look at its file takes 8 more
    assert len(data.open().splits["train"]) == 20_000


@pytest.mark.parametrize(
    ("labels", "values", "column"),
    [
        ({"id-0": 0.5, "id-1": 2, "id-2": -1e3}, (), [0.5, 2, -1000]),
        ({"id-0": [0.5, 1], "id-1": [2, 3], "id-2": [0, 7]}, ("0", "1"), [[0.5, 1], [2, 3], [0, 7]]),
        ({"id-0": [0.5], "id-1": [2], "id-2": [0]}, (), [0.5, 2, 0]),
    ],
)
def test_numbers_are_targets(make, labels, values, column):
    partition = {"train": ["id-0", "id-1"], "test": ["id-2"]}
    splits = make(samples(3), partition, labels, class_mode="raw").open().splits
    found = [splits[split].labels for split in ("train", "test")]
    assert [(head.mode, head.value_names) for head in found[0].heads] == [("raw", values)]
    assert np.concatenate([one.columns[0] for one in found]).tolist() == column
    assert found[0].columns[0].dtype == np.float32


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("cat", "a number or a list of numbers for 'id-1', got 'cat'"),
        (None, "for 'id-1', got null"),
        (True, "for 'id-1', got true"),
        ([], r"for 'id-1', got \[\]"),
        ([1, 2], "as many numbers for every id, got 2 for 'id-1'"),
        (1e39, "for 'id-1', got 1e"),
        (10**400, "for 'id-1', got 1000"),
    ],
)
def test_label_that_is_no_number_is_refused(make, label, told):
    data = make(samples(2), {"train": ["id-0", "id-1"]}, {"id-0": 1.5, "id-1": label}, class_mode="raw")
    with pytest.raises(DataError, match=told):
        data.open()
