"""Samples of several arrays: the same batches for every loader and cache, and errors that name the array."""

import numpy as np
import pytest

from runner.errors import BadSampleError
from runner.loaders.cache import memory_cache_bytes, with_cache
from runner.loaders.disk_cache import sample_key
from runner.loaders.kinds import Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad
from runner.records.digests import array_digest
from tests.support.sources import PATIENT, PatientSource

pytestmark = pytest.mark.usefixtures("forked_workers")

NUM = 41
WAYS = {
    "in_memory": InMemory(workers=2),
    "in_memory in the caller": InMemory(workers=0),
    "generator": Generator(),
    "threads": Sequence(workers=3),
    "processes": Sequence(workers=2, use_multiprocessing=True),
    "threads, kept in memory": Sequence(workers=2, cache="memory"),
    "processes, kept in memory": Sequence(workers=1, use_multiprocessing=True, cache="memory"),
    "generator, kept on disk": Generator(cache="disk"),
    "threads, kept on disk": Sequence(workers=2, cache="disk"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("patients")


def opened(settings, folder, tmp_path, **keys):
    settings = settings.model_copy(update={"cache_dir": tmp_path, "batch_size": 8})
    source = with_cache(PatientSource(NUM, folder, **keys), settings, {})
    return settings.build(source, Plan(num_samples=NUM, batch_size=8, seed=3))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_arrays(way, folder, tmp_path):
    with opened(WAYS[way], folder, tmp_path) as loader:
        for epoch in range(2):
            ids = []
            for batch in loader.epoch(epoch):
                numbers = np.array([int(name[1:]) for name in batch.ids])
                ids += batch.ids
                assert list(batch.x) == [name for name, _ in PATIENT.specs]
                for name, spec in PATIENT.specs:
                    assert (batch.x[name].shape, batch.x[name].dtype) == ((len(batch), *spec.shape), spec.dtype)
                    assert (batch.x[name].reshape(len(batch), -1) == numbers[:, None]).all()
            assert sorted(ids) == sorted(loader.source.ids)


@pytest.mark.parametrize("way", ["in_memory", "threads", "processes"])
def test_bad_sample_is_left_out_of_every_array(way, folder, tmp_path):
    with opened(WAYS[way], folder, tmp_path, bad=(5, 30)) as loader:
        loader.handle_bad(OnBad("skip"), lambda *_: None)
        batches = list(loader.epoch(0))
    assert sum(map(len, batches)) == NUM - 2
    assert all({len(array) for array in batch.x.values()} == {len(batch)} for batch in batches)
    seen = np.concatenate([batch.x["age"].ravel() for batch in batches])
    assert sorted(seen) == [number for number in range(NUM) if number not in (5, 30)]


def test_value_that_is_no_number_names_its_array(folder, tmp_path):
    with opened(WAYS["generator"], folder, tmp_path) as loader:
        read = loader.source.read

        def spoilt(index, out=None):
            values = read(index, out)
            values.arrays["age"][...] = np.nan
            return values

        object.__setattr__(loader.source, "read", spoilt)
        with pytest.raises(BadSampleError, match=r"p\d+\.image: age: 1 of 1 value is NaN"):
            loader.batch(0, 0)


def test_changed_second_file_is_read_again(tmp_path):
    (tmp_path / "files").mkdir()
    source = PatientSource(3, tmp_path / "files")
    settings = Generator(cache="disk", cache_dir=tmp_path / "cache", batch_size=3)
    with settings.build(with_cache(source, settings, {}), Plan(num_samples=3, batch_size=3)) as loader:
        list(loader.epoch(0))
    before = sample_key(source.places(1))
    (tmp_path / "files" / "p1.numbers").write_text("77")
    assert sample_key(source.places(1)) != before
    with settings.build(with_cache(source, settings, {}), Plan(num_samples=3, batch_size=3, shuffle=False)) as loader:
        (batch,) = loader.epoch(0)
    assert batch.x["age"].ravel().tolist() == [0, 77, 2]


def test_digest_depends_on_every_array_and_name(folder, tmp_path):
    with opened(WAYS["generator"], folder, tmp_path) as loader:
        x = loader.batch(0, 0).x
    digest = array_digest(x)
    assert digest == array_digest({name: array.copy() for name, array in x.items()})
    assert digest != array_digest({**x, "age": x["age"] + 1})
    assert digest != array_digest({("years" if name == "age" else name): array for name, array in x.items()})


@pytest.mark.parametrize("way", WAYS)
def test_memory_is_that_of_all_arrays(way):
    """The estimate that decides whether a run fits into memory counts every array of a sample."""
    settings = WAYS[way]
    parts = [settings.num_bytes(spec, 1000) for _, spec in PATIENT.specs]
    assert settings.num_bytes(PATIENT, 1000) == sum(parts)
    assert memory_cache_bytes(PATIENT, 1000) >= sum(1000 * spec.num_bytes for _, spec in PATIENT.specs)
