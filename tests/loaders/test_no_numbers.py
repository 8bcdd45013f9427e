"""Samples with values that are no numbers: bad samples like any other, with every loader."""

import numpy as np
import pytest

from runner import build_loader, compose
from runner.batch import ArraySpec
from runner.errors import BadSampleError
from runner.finite import all_finite, batch_dtype, first_not_finite, narrowed
from runner.loaders.draw import Draw
from runner.loaders.reader import OnBad, SampleReader
from tests.support.sources import NumberSource

pytestmark = pytest.mark.usefixtures("forked_workers")

WAYS = {
    "generator": ["loader=generator"],
    "in_memory": ["loader=in_memory", "loader.workers=2"],
    "in_memory in the caller": ["loader=in_memory", "loader.workers=0"],
    "threads": ["loader=sequence", "loader.workers=2"],
    "processes": ["loader=sequence", "loader.workers=1", "loader.use_multiprocessing=true"],
    "kept in memory": ["loader=sequence", "loader.workers=2", "loader.cache=memory"],
    "kept on disk": ["loader=sequence", "loader.workers=2", "loader.cache=disk"],
}
WRONG = {"3": np.nan, "8": -np.inf, "9": 1e300}
"""By id; the last one is a number of float64 beyond float32."""


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A loader of twelve volumes in batches of four, without an order of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "volumes").mkdir()
    for number in range(12):
        volume = np.full((2, 3), number, float)
        volume[1, 1] = WRONG.get(str(number), number)
        np.save(tmp_path / "volumes" / f"{number}.npy", volume)
    names = ", ".join(f'"{number}"' for number in range(12))
    (tmp_path / "partition.json").write_text(f'{{"train": [{names}]}}')
    (tmp_path / "finite_changes.py").write_text(CHANGES)
    monkeypatch.syspath_prepend(tmp_path)
    keys = ["data=npy", "data.root=volumes", "data.class_mode=null", "data.validation_split=0"]
    keys += ["loader.batch_size=4", "extensions=[finite_changes]"]
    return lambda *overrides: build_loader(compose([*keys, *overrides]))


CHANGES = """
import numpy as np
def cleaned(array, rng): return np.nan_to_num(array, nan=0, posinf=0, neginf=0)
def spoiled(array, rng): return cleaned(array, rng) + (np.nan if array[0, 0] == 5 else 0)
"""


def delivered(loader):
    with loader:
        return [sorted(name for batch in loader.epoch(epoch) for name in batch.ids) for epoch in range(2)]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_loader_skips_them_in_every_epoch(build, way):
    good = sorted(str(number) for number in range(12) if str(number) not in WRONG)
    noted = []
    with build(*way, "data.on_bad=skip") as loader:
        loader.note = lambda *bad: noted.append(bad)
        assert delivered(loader) == [good, good]
    reasons = {name: reason for name, _, reason in noted}
    assert reasons["3"] == "1 of 6 values is NaN"
    assert reasons["8"] == reasons["9"] == "1 of 6 values is infinite or beyond float32"
    assert {path for _, path, _ in noted} == {f"volumes/{name}.npy" for name in WRONG}


@pytest.mark.parametrize("way", [WAYS["generator"], WAYS["in_memory"], WAYS["kept in memory"]], ids=str)
def test_they_end_a_run_by_default(build, way):
    with pytest.raises(BadSampleError, match=r"^volumes/\d\.npy: 1 of 6 values is "):
        delivered(build(*way))


@pytest.mark.parametrize("way", [WAYS["generator"], WAYS["in_memory"], WAYS["kept in memory"]], ids=str)
def test_values_count_after_the_transform(build, way):
    everyone = sorted(map(str, range(12)))
    assert delivered(build(*way, "data.transform=finite_changes.cleaned")) == [everyone, everyone]
    rest = sorted(set(everyone) - {"5"})
    assert delivered(build(*way, "data.transform=finite_changes.spoiled", "data.on_bad=skip")) == [rest, rest]


def test_cache_of_a_transformed_run_is_checked(build):
    disk = WAYS["kept on disk"]
    delivered(build(*disk, "data.transform=finite_changes.cleaned"))
    with pytest.raises(BadSampleError, match=" values is "):
        delivered(build(*disk))


class Doubled(NumberSource):
    """Sample 2 holds NaN."""

    def read(self, index, out=None):
        out = super().read(index, out)
        out[...] = np.nan if index == 2 else out
        return out


def test_substitute_takes_the_place_of_nan():
    x = np.empty((4, 1), np.float32)
    piece = SampleReader(Doubled(4), on_bad=OnBad("substitute")).fill(Draw.of_pass(np.arange(4), 0), x)
    assert [bad.index for bad in piece.bad] == [2]
    assert x[:, 0].tolist() == piece.indices.tolist()
    assert 2 not in piece.indices


def test_whole_numbers_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(np, "isfinite", None)
    source = NumberSource(4, ArraySpec((2,), np.dtype(np.uint8)))
    SampleReader(source).fill(Draw.of_pass(np.arange(4), 0), np.empty((4, 2), np.uint8))


def test_first_wrong_row_is_found():
    rows = np.zeros((3, 2, 2), np.float16)
    assert all_finite(rows)
    assert first_not_finite(rows) is None
    rows[1, 0, 1] = np.inf
    assert first_not_finite(rows) == 1


@pytest.mark.parametrize("dtype", ["f8", ">f8", "g", ">f4", "f2", "u1", ">i2"])
def test_arrays_get_the_dtype_of_a_batch(dtype):
    array = np.ones(2, dtype)
    assert narrowed(array).dtype == batch_dtype(array.dtype)
    assert narrowed(array).dtype.isnative
    assert narrowed(array).tolist() == [1, 1]
