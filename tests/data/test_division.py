"""data.stratify: how settings, labels and the splits that data brings decide what is held out."""

import numpy as np
import pytest

from runner.data.arrays import Arrays
from runner.data.dataframe import DataFrame
from runner.data.splits import split_by_fraction
from tests.support.photos import write_photos


@pytest.fixture
def arrays(tmp_path):
    """Opens 60 samples: 40 of class 0, 15 of class 1, 3 of class 2 and 2 of class 3."""
    np.savez(tmp_path / "a.npz", x=np.arange(60.0)[:, None], y=np.repeat([0, 1, 2, 3], [40, 15, 3, 2]))
    return lambda **keys: Arrays(path=tmp_path / "a.npz", **keys).open()


def counts(dataset):
    return {
        split: np.bincount(source.labels.columns[0].astype(int), minlength=4).tolist()
        for split, source in dataset.splits.items()
    }


def plain(dataset, **shares):
    """Whether the splits are those of the hash of each id alone."""
    ids = sorted(name for source in dataset.splits.values() for name in source.ids)
    expected = split_by_fraction(ids, **shares, seed=0)
    return all(set(source.ids) == {ids[index] for index in expected[split]} for split, source in dataset.splits.items())


def test_classes_are_divided_by_default(arrays):
    dataset = arrays(validation_split=0.2, test_split=0.2)
    assert counts(dataset) == {"train": [24, 9, 1, 1], "validation": [8, 3, 1, 1], "test": [8, 3, 1, 0]}
    assert dataset.notes == (
        "data.validation_split=0.2 selects 0.217 of the samples, 13 of 60: each class of at least 2 samples has one in "
        "validation",
    )


def test_without_stratify_ids_alone_decide(arrays):
    shares = {"validation": 0.2, "test": 0.2}
    dataset = arrays(validation_split=0.2, test_split=0.2, stratify=False)
    assert plain(dataset, **shares)
    assert not plain(arrays(validation_split=0.2, test_split=0.2), **shares)


@pytest.mark.parametrize("mode", ["raw", "input", None])
def test_targets_without_classes_are_not_divided(arrays, mode):
    assert plain(arrays(class_mode=mode, validation_split=0.3), validation=0.3, test=0.0)


def test_splits_of_the_data_stay_as_they_are(tmp_path):
    photos = write_photos(tmp_path, ["cat", "dog"], 6)
    names = [f"{kind}/{file.name}" for kind in ("cat", "dog") for file in sorted((photos / kind).iterdir())]
    splits = ["val", *["train"] * 11]
    rows = "".join(f"{name},{name[:3]},{split}\n" for name, split in zip(names, splits, strict=True))
    (tmp_path / "a.csv").write_text(f"path,label,split\n{rows}")
    keys = {"manifest": tmp_path / "a.csv", "root": photos, "target_size": (4, 4), "split_column": "split"}
    dataset = DataFrame(**keys, test_split=0.35).open()
    assert list(dataset.splits["validation"].ids) == names[:1]
    test = dataset.splits["test"].labels.texts()
    assert {test.count("cat") - 1, test.count("dog") - 2} <= {0, 1}  # of 5 and 6 samples


def test_limit_has_the_share_of_each_class(arrays):
    limited = counts(arrays(validation_split=0.0, limit=30))["train"]
    assert sum(limited) == 30
    assert (abs(np.array(limited) - [20, 7.5, 1.5, 1]) < 1.5).all()
    assert counts(arrays(validation_split=0.0, limit=30, stratify=False))["train"] != limited


def test_test_share_is_named_if_raised(arrays):
    *_, note = arrays(validation_split=0.05, test_split=0.01).notes
    assert note == (
        "data.test_split=0.01 selects 0.05 of the samples, 3 of 60: each class of at least 3 samples has one in test"
    )
