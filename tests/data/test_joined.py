"""Several sources as one."""

import pickle
from dataclasses import replace

import numpy as np

from runner import compose
from runner.data.views import Relabelled, join, select
from tests.support.large_files import write_large_files


def splits(digits_root, *overrides):
    return compose([f"data.root={digits_root}", *overrides]).data.open().splits


def test_samples_stand_one_source_after_the_other(digits_root):
    parts = tuple(splits(digits_root).values())
    joined = join(parts)
    assert list(joined.ids) == [name for part in parts for name in part.ids]
    assert len(joined) == sum(map(len, parts))
    assert joined.spec == parts[0].spec
    last, first = len(parts[0]) - 1, len(parts[0])
    for index, part, row in ((0, 0, 0), (last, 0, last), (first, 1, 0), (len(joined) - 1, 2, len(parts[2]) - 1)):
        assert np.array_equal(joined.read(index), parts[part].read(row))
        assert joined.places(index) == parts[part].places(row)


def test_labels_are_joined(digits_root):
    parts = tuple(splits(digits_root).values())
    assert join(parts).labels.texts() == [text for part in parts for text in part.labels.texts()]


def test_joined_weights_default_to_1(digits_root):
    first, second, third = splits(digits_root).values()
    weighted = Relabelled(second, replace(second.labels, weights=np.full(len(second), 2, np.float32)))
    weights = join((first, weighted, third)).labels.weights
    assert weights.dtype == np.float32
    assert weights.tolist() == [1] * len(first) + [2] * len(second) + [1] * len(third)


def test_samples_without_labels_can_be_joined(digits_root):
    assert join(tuple(splits(digits_root, "data.class_mode=null").values())).labels.heads == ()


def test_single_source_is_itself(digits_root):
    part = splits(digits_root)["test"]
    assert join((part,)) is part


def test_joined_files_travel_to_worker_processes(digits_root):
    joined = join(tuple(splits(digits_root).values()))
    again = pickle.loads(pickle.dumps(joined))
    assert again.has_bytes
    assert np.array_equal(again.read(1500), joined.read(1500))


def test_array_samples_have_no_files_when_joined(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(6.0).reshape(3, 2), x_test=np.ones((1, 2)))
    overrides = ["data=arrays", f"data.path={tmp_path}/a.npz", "data.class_mode=null", "data.validation_split=0"]
    joined = join(tuple(compose(overrides).data.open().splits.values()))
    assert not joined.has_bytes
    assert [joined.read(index).tolist() for index in range(4)] == [[0, 1], [2, 3], [4, 5], [1, 1]]


def test_joined_samples_keep_their_places(tmp_path, digits_root):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    one, other = (write_large_files(folder, num_samples=20, num_files=2) for folder in folders)
    whole = join((one, select(other, np.arange(5, 20)), select(one, np.arange(3))))
    spans = whole.spans()
    assert len(spans.files) == 4
    for index in range(len(whole)):
        [place] = whole.places(index)
        assert (spans.files[spans.file[index]], spans.offset[index], spans.size[index]) == place[:3]
    assert join((one, splits(digits_root)["train"])).spans() is None
