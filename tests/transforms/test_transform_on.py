"""`data.transform` by split: for training alone, and functions that know their split."""

import numpy as np
import pytest

from runner import build_loader, compose
from runner.errors import ConfigurationError, DataError
from tests.support.masks import discs, write_discs

FUNCTIONS = """
import numpy as np
def added(array, rng): return array + np.float32(100)
def named(array, rng, split, training): return np.full_like(array, len(split) + 100 * training)
def halved(array, rng): return array[:1]
def cut(sample, rng): return {name: array[:2] for name, array in sample.items()}
def as_float(sample, rng): return {**sample, "image": sample["image"].astype(np.float32)}
"""


@pytest.fixture
def first(tmp_path, monkeypatch):
    """The first value of each split's first batch, trained on or not, with these keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "split_functions.py").write_text(FUNCTIONS)
    x = np.arange(12, dtype="f4").reshape(6, 2)
    np.savez("a.npz", x=x, y=np.arange(6) % 2, x_validation=x[:2], y_validation=[0, 1])

    def build(function, *keys, split="train"):
        named = ["extensions=[split_functions]", f"data.transform=split_functions.{function}"]
        arrays = [] if any(key.startswith("data=") for key in keys) else ["data=arrays", "data.path=a.npz"]
        config = compose([*arrays, "loader=generator", *named, *keys])
        with build_loader(config, split=split) as loader:
            return loader.reader, loader.batch(0, 0).x

    return build


def test_transform_may_be_for_training_alone(first):
    assert first("added", "data.transform_on=training")[1].min() >= 100
    assert first("added", "data.transform_on=training", split="validation")[1].max() < 100
    assert first("added", split="validation")[1].min() >= 100


def test_function_may_know_the_split(first):
    assert set(first("named")[1].ravel()) == {105}
    assert set(first("named", split="validation")[1].ravel()) == {10}


def test_other_splits_need_samples_of_that_shape(first):
    with pytest.raises(DataError, match="must keep shape and dtype of the samples, 2 float32, with data.transform_on="):
        first("halved", "data.transform_on=training")


def test_masks_of_images_cut_by_code_stay_small(first, tmp_path):
    images = [*discs(write_discs(tmp_path, 8)), "predict.original_size=true"]
    with pytest.raises(DataError, match=r"split_functions\.cut must keep height and width of the samples"):
        first("cut", *images)
    assert first("cut", *images, "predict.original_size=false")[1].shape[1:] == (2, 10, 3)
    assert first("as_float", *images)[1].shape[1:] == (12, 10, 3)


def test_place_without_a_transform_is_refused():
    with pytest.raises(ConfigurationError, match="transform_on must be all without a transform, got training; name"):
        compose(["data.transform_on=training"])
