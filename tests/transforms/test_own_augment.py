"""`data.augment.transform`: a function of the user's for training samples alone."""

import numpy as np
import pytest

from runner import build_loader, compose
from runner.errors import ConfigurationError, DataError

FUNCTIONS = """
import numpy as np
def noisy(array, rng): return array + rng.random(array.shape, np.float32)
def halved(array, rng): return array[:1]
def as_double(sample, rng): return sample.astype("u1")
def fails(array, rng):
    if array[0] > 5: raise KeyError("seven")
    return array
def doubled(array, rng): return 2 * array
number = 3
"""
X = np.arange(12, dtype="f4").reshape(6, 2)


@pytest.fixture
def compose_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_augment_functions.py").write_text(FUNCTIONS)
    np.savez("a.npz", x=X, y=np.arange(6) % 2, x_validation=X[:2], y_validation=[0, 1])
    arrays = ["data=arrays", "data.path=a.npz", "extensions=[own_augment_functions]", "loader=generator"]
    return lambda name, *keys: compose([*arrays, f"data.augment.transform=own_augment_functions.{name}", *keys])


def rows(config, epoch=0, split="train"):
    with build_loader(config, split=split) as loader:
        return np.concatenate([batch.x for batch in loader.epoch(epoch)])


def test_only_training_samples_are_changed(compose_own):
    config = compose_own("noisy", "loader.shuffle=false")
    assert np.all((rows(config) > X) & (rows(config) < X + 1))
    assert np.array_equal(rows(config, split="validation"), X[:2])


def test_random_numbers_follow_seed_and_pass(compose_own):
    config, other = (compose_own("noisy", "loader.shuffle=false", f"seed={seed}") for seed in (0, 1))
    assert len({rows(config, epoch).tobytes() for epoch in (0, 1, 0)} | {rows(other).tobytes()}) == 3


@pytest.mark.parametrize(
    "keys", [["loader=in_memory"], ["loader=sequence", "loader.use_multiprocessing=true"]], ids=str
)
def test_every_loader_gives_the_same_samples(compose_own, keys):
    assert np.array_equal(rows(compose_own("noisy", *keys, "loader.workers=1"), 1), rows(compose_own("noisy"), 1))


def test_data_transform_gets_the_changed_samples(compose_own):
    both = ["data.transform=own_augment_functions.noisy", "loader.shuffle=false"]
    alone = rows(compose_own("doubled", *both)) - 2 * X
    assert np.all((alone > 0) & (alone < 1))


@pytest.mark.parametrize(
    ("name", "returned"), [("halved", "1 float32"), ("as_double", "2 uint8")], ids=["shape", "dtype"]
)
def test_other_shapes_and_dtypes_are_refused(compose_own, name, returned):
    label = f"data.augment.transform=own_augment_functions.{name}"
    with pytest.raises(DataError, match=rf"{label} must return 2 float32 for every sample, as it gets; got {returned}"):
        rows(compose_own(name))


def test_its_error_names_function_and_sample(compose_own):
    with pytest.raises(KeyError) as failed:
        rows(compose_own("fails", "loader.shuffle=false"))
    notes = ["in data.augment.transform=own_augment_functions.fails", "while transforming sample train-3"]
    assert failed.value.__notes__ == notes


def test_code_must_be_listed_and_callable(compose_own):
    with pytest.raises(ConfigurationError, match=r"data\.augment\.transform must be in a module that extensions lists"):
        compose_own("noisy", "extensions=[]")
    with pytest.raises(
        ConfigurationError, match=r"data\.augment\.transform must be a function, got .*number, which is 3"
    ):
        rows(compose_own("number"))
