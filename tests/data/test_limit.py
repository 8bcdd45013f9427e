"""data.limit: a quick try on some samples of each split."""

import numpy as np
import pytest

from runner import compose
from runner.data.arrays import Arrays
from runner.data.digits import Digits


@pytest.fixture
def limited(digits_root):
    return lambda limit, **keys: Digits(root=digits_root, limit=limit, **keys).open()


def test_limit_bounds_each_split_and_is_logged(limited):
    whole, some = limited(None), limited(200)
    assert {split: len(source) for split, source in some.splits.items()} == {
        "train": 200, "validation": len(whole.splits["validation"]), "test": 200,
    }  # fmt: skip
    assert some.notes == (
        f"data.limit=200 leaves 200 of {len(whole.splits['train']):,} train samples",
        f"data.limit=200 leaves 200 of {len(whole.splits['test']):,} test samples",
    )
    assert limited(2000).notes == limited(None).notes == ()


def test_limited_samples_keep_split_and_order(limited):
    whole, some = limited(None), limited(50)
    for split, source in some.splits.items():
        ids = list(whole.splits[split].ids)
        places = [ids.index(name) for name in source.ids]
        assert places == sorted(places)
        assert source.labels.texts() == [name.split("/")[0] for name in source.ids]
        assert np.array_equal(source.read(7), whole.splits[split].read(places[7]))
        assert source.places(7) == whole.splits[split].places(places[7])


def test_classes_are_all_there_and_mixed(limited):
    some = limited(200)
    assert len(some.heads[0].class_names) == 10
    assert np.bincount(some.splits["train"].labels.columns[0], minlength=10).min() > 8


def test_split_seed_chooses_and_the_seed_does_not(limited, digits_root):
    assert list(limited(20).splits["train"].ids) != list(limited(20, split_seed=1).splits["train"].ids)
    ids = {
        tuple(compose([f"data.root={digits_root}", "data.limit=20", seed]).data.open().splits["train"].ids)
        for seed in ("seed=0", "seed=1")
    }
    assert len(ids) == 1


def test_data_that_is_no_file_is_limited_too(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(60.0).reshape(30, 2), y=np.arange(30) % 3)
    splits = Arrays(path=tmp_path / "a.npz", limit=4).open().splits
    assert {split: len(source) for split, source in splits.items()} == {"train": 4, "validation": 4}
    assert not set(splits["train"].ids) & set(splits["validation"].ids)
