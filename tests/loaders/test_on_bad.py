"""Samples that cannot be read: the same batches from every loader, and nothing hidden."""

import errno
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from runner import build_loader, compose
from runner.batch import ArraySpec
from runner.errors import BadSampleError, DataError, UserReadError
from runner.loaders.draw import Draw
from runner.loaders.reader import MOST_SUBSTITUTES, OnBad, SampleReader
from tests.support.photos import write_photos
from tests.support.sources import NumberSource

pytestmark = pytest.mark.usefixtures("forked_workers")

WORKERS = ["loader.workers=2"]
PROCESSES = ["loader=sequence", "loader.workers=1", "loader.use_multiprocessing=true"]
WAYS = {
    "in_memory": ["loader=in_memory", *WORKERS],
    "in_memory in the caller": ["loader=in_memory", "loader.workers=0"],
    "in_memory, processes": ["loader=in_memory", *PROCESSES[1:]],
    "in_memory, kept on disk": ["loader=in_memory", *WORKERS, "loader.cache=disk"],
    "generator, kept in memory": ["loader=generator", "loader.cache=memory"],
    "sequence in the caller": ["loader=sequence", "loader.workers=0"],
    "sequence, threads": ["loader=sequence", *WORKERS],
    "sequence, processes": PROCESSES,
    "sequence, threads, kept in memory": ["loader=sequence", *WORKERS, "loader.cache=memory"],
    "sequence, processes, kept in memory": [*PROCESSES, "loader.cache=memory"],
    "sequence, processes, kept on disk": [*PROCESSES, "loader.cache=disk"],
    "directory_flow": ["loader=directory_flow", *WORKERS],
}
BAD = {"cat/03.png": "empty file", "dog/11.png": "no such file"}
"""Of forty samples; the second is removed once it is listed."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = write_photos(tmp_path_factory.mktemp("photos"), ("cat", "dog"), 20)
    (folder / "cat" / "03.png").write_bytes(b"")
    return folder


@pytest.fixture
def build(root, tmp_path):
    """A loader over the forty, of which one goes missing once they are listed."""
    keys = ["data=directory", f"data.root={root}", "data.target_size=[6,5]", "data.validation_split=0"]
    keys += ["loader.batch_size=7", f"loader.cache_dir={tmp_path / 'cache'}"]
    missing, aside = root / "dog" / "11.png", tmp_path / "11.png"

    def make(*overrides):
        if aside.exists():
            aside.rename(missing)
        loader = build_loader(compose([*keys, *overrides]))
        missing.rename(aside)
        return loader

    yield make
    if aside.exists():
        aside.rename(missing)


def digest(batches):
    """One digest of all ids, pixels and labels, in their order."""
    found = hashlib.sha256()
    for batch in batches:
        found.update("\0".join(batch.ids).encode())
        found.update(str((batch.x.shape, batch.x.dtype)).encode() + batch.x.tobytes() + batch.y.tobytes())
    return found.hexdigest()


def ids_of(batches):
    return [batch.ids for batch in batches]


POLICIES = {
    "skip": ["data.on_bad=skip"],
    "skip, augmented": ["data.on_bad=skip", "data.augment.zoom=0.3"],
    "substitute": ["data.on_bad=substitute"],
    "substitute, augmented": ["data.on_bad=substitute", "data.augment.zoom=0.3"],
}
CASES = [
    (way, policy)
    for way in WAYS
    for policy in POLICIES
    if "processes" not in way or policy == "substitute, augmented" or (way, policy) == ("sequence, processes", "skip")
]
"""All pairs, but few of those with processes, which take seconds to start."""


@pytest.fixture(scope="module")
def expected():
    """What a generator gave under each policy, once one did."""
    return {}


@pytest.mark.parametrize(("way", "policy"), CASES)
def test_batches_ignore_other_bad_samples(way, policy, build, expected):
    if policy not in expected:
        with build("loader=generator", *POLICIES[policy]) as loader:
            expected[policy] = [digest(loader.epoch(epoch)) for epoch in range(3)]
        assert len(set(expected[policy])) == 3
    policy, expected = POLICIES[policy], expected[policy]
    with build(*WAYS[way], *policy) as loader:
        assert [digest(loader.epoch(epoch)) for epoch in range(3)] == expected
        assert digest(loader.epoch(1, start=3)) == digest(list(loader.epoch(1))[3:])
        assert digest([loader.batch(2, 4)]) == digest(list(loader.epoch(2))[4:5])


def test_skipping_shrinks_only_the_own_batch(build):
    with build("loader=generator", "data.on_bad=skip") as loader:
        for epoch in range(3):
            planned = [
                [loader.source.ids[i] for i in loader.plan.batch(epoch, step).indices] for step in range(len(loader))
            ]
            expected = [tuple(name for name in names if name not in BAD) for names in planned]
            assert ids_of(loader.epoch(epoch)) == expected
            assert sum(map(len, expected)) == 38


def test_substitutes_bring_id_pixels_and_label(build, root):
    with build("loader=generator", "data.on_bad=substitute") as loader:
        stand_ins = set()
        for epoch in range(3):
            for step, batch in enumerate(loader.epoch(epoch)):
                planned = [loader.source.ids[index] for index in loader.plan.batch(epoch, step).indices]
                replaced = [(was, now) for was, now in zip(planned, batch.ids, strict=True) if was != now]
                assert {was for was, _ in replaced} == BAD.keys() & set(planned)
                stand_ins.update(replaced)
                for name, pixels, label in zip(batch.ids, batch.x, batch.y, strict=True):
                    assert np.array_equal(pixels, np.asarray(Image.open(root / name)))
                    assert label.tolist() == [name.startswith("cat"), name.startswith("dog")]
        assert len(stand_ins) == 2  # the same ones in each epoch


def test_substitutes_depend_on_the_seed():
    """Changes only with a major version: a run that is resumed must find the same ones."""
    assert list(OnBad("substitute", 0).candidates(3, 6)) == [3, 4, 2, 1, 0, 5]
    assert list(OnBad("substitute", 1).candidates(3, 6)) == [3, 4, 2, 0, 1, 5]


@given(st.integers(1, 10**12), st.integers(0, 2**40), st.data())
def test_candidates_are_distinct_other_samples(num_samples, seed, data):
    index = data.draw(st.integers(0, num_samples - 1))
    candidates = list(OnBad("substitute", seed).candidates(index, num_samples))
    assert candidates[0] == index
    assert len(set(candidates)) == len(candidates) == min(num_samples, MOST_SUBSTITUTES + 1)
    assert all(0 <= candidate < num_samples for candidate in candidates)
    assert list(OnBad("skip", seed).candidates(index, num_samples)) == [index]


@given(st.integers(1, 40), st.data())
def test_rows_hold_their_stated_samples(num_samples, data):
    bad = data.draw(st.sets(st.integers(0, num_samples - 1)))
    choice = data.draw(st.sampled_from(["skip", "substitute"] if len(bad) < num_samples else ["skip"]))
    asked = np.array(data.draw(st.lists(st.integers(0, num_samples - 1), min_size=1, max_size=9)), np.int64)
    x = np.empty((len(asked), 1), np.float32)
    filled = SampleReader(NumberSource(num_samples, bad=bad), on_bad=OnBad(choice, 3)).fill(Draw.of_pass(asked, 0), x)
    for wanted, given_, row in zip(asked.tolist(), filled.indices.tolist(), x, strict=True):
        assert given_ == wanted if wanted not in bad else given_ not in bad
        assert given_ == -1 if choice == "skip" and wanted in bad else row[0] == given_
    found = {one.index for one in filled.bad}
    assert bad & set(asked.tolist()) <= found <= bad


def test_lost_storage_ends_a_substituting_run():
    source, x = NumberSource(300, bad=range(300)), np.empty((1, 1), np.float32)
    reader = SampleReader(source, on_bad=OnBad("substitute"))
    message = r"101 samples in a row cannot be read, last s\d+: torn; is the storage available"
    with pytest.raises(DataError, match=message):
        reader.fill(Draw.of_pass(np.array([5]), 0), x)


def of_the_machine(name):
    error = BadSampleError(name, "too many open files")
    error.__cause__ = OSError(errno.EMFILE, "too many open files")
    return error


@pytest.mark.parametrize(
    "error",
    [lambda name: UserReadError(name, "read(1) failed: KeyError: 'x'"), of_the_machine],
    ids=["code", "machine"],
)
def test_unrelated_errors_always_end_the_run(error):
    reader, x = SampleReader(NumberSource(4, bad={1}, error=error), on_bad=OnBad("skip")), np.empty((4, 1), np.float32)
    with pytest.raises(BadSampleError, match="^s1: "):
        reader.fill(Draw.of_pass(np.arange(4), 0), x)


@pytest.mark.parametrize("way", ["generator", "in_memory", "sequence", "directory_flow"])
def test_fully_bad_batches_are_empty(way, build):
    with build(f"loader={way}", "data.on_bad=skip", "loader.batch_size=1", "loader.workers=2") as loader:
        batches = list(loader.epoch(0))
        assert [len(batch) for batch in batches].count(0) == 2
        assert len(batches) == len(loader) == 40
        assert len(loader.first_batch()) == 1


def test_no_cache_keeps_a_bad_sample(build, root):
    keys = ["loader=generator", "loader.cache=disk", "data.on_bad=skip"]
    with build(*keys) as loader:
        for _ in loader.epoch(0):
            pass
        assert loader.source.cache.num_found == 38


@pytest.mark.parametrize("way", ["in_memory", "sequence, processes", "generator, kept in memory"])
def test_too_many_bad_samples_end_the_epoch(way, build, root):
    with (
        build(*WAYS[way], "data.on_bad=substitute", "data.max_bad=1") as loader,
        pytest.raises(DataError, match="^data.max_bad=1 must cover all bad samples, got 2; ") as raised,
    ):
        list(loader.epoch(0))
    told = str(raised.value)
    assert all(f"{root / name}: {reason}" in told for name, reason in BAD.items())


def test_pointless_bound_is_refused():
    with pytest.raises(Exception, match="data.max_bad must be null with on_bad=raise, got 3; set on_bad=skip or"):
        compose(["data.max_bad=3"])


class Marking:
    """Adds the pass and the index a sample is changed for."""

    spec = ArraySpec((3,), np.dtype(np.float32))

    def __call__(self, array, number, index):
        return np.array([array[0], number, index], np.float32)


def test_substitute_is_transformed_like_itself():
    reader = SampleReader(NumberSource(9, bad={2}), (Marking(),), OnBad("substitute", 5))
    x = np.empty((9, 3), np.float32)
    filled = reader.fill(Draw(np.arange(9), np.arange(9)[::-1]), x)
    assert filled.indices[2] != 2
    assert x.tolist() == [[index, 8 - row, index] for row, index in enumerate(filled.indices.tolist())]
