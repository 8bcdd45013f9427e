"""What holds for every loader: the same batches, honest epochs, nothing left behind."""

import hashlib
import multiprocessing
import os
import shutil
import threading
from dataclasses import dataclass, fields

import numpy as np
import pytest

from runner import build_loader, compose
from runner.errors import BadSampleError, RunnerError
from runner.loaders.blend import PhaseAugmentation
from runner.loaders.draw import Draw
from runner.loaders.plan import Plan

pytestmark = pytest.mark.usefixtures("forked_workers")

PROCESSES = ["loader=sequence", "loader.workers=2", "loader.use_multiprocessing=true"]
WAYS = {
    "in_memory": ["loader=in_memory", "loader.workers=2"],
    "in_memory in the caller": ["loader=in_memory", "loader.workers=0"],
    "generator": ["loader=generator"],
    "sequence in the caller": ["loader=sequence", "loader.workers=0"],
    "sequence, 1 thread": ["loader=sequence", "loader.workers=1"],
    "sequence, 4 threads": ["loader=sequence", "loader.workers=4", "loader.max_queue_size=3"],
    "sequence, 1 process": ["loader=sequence", "loader.workers=1", "loader.use_multiprocessing=true"],
    "sequence, 4 processes": ["loader=sequence", "loader.workers=4", "loader.use_multiprocessing=true"],
    "generator, kept in memory": ["loader=generator", "loader.cache=memory"],
    "generator, kept on disk": ["loader=generator", "loader.cache=disk"],
    "sequence, 2 threads, kept in memory": ["loader=sequence", "loader.workers=2", "loader.cache=memory"],
    "sequence, 2 threads, kept on disk": ["loader=sequence", "loader.workers=2", "loader.cache=disk"],
    "sequence, 2 processes, kept in memory": [*PROCESSES, "loader.cache=memory"],
    "sequence, 2 processes, kept on disk": [*PROCESSES, "loader.cache=disk"],
    "in_memory, kept on disk": ["loader=in_memory", "loader.workers=2", "loader.cache=disk"],
    "directory_flow, 4 threads": ["loader=directory_flow", "loader.workers=4"],
}


LIMIT = "data.limit=600"
"""Nineteen steps a pass: more than workers and queues hold."""


@pytest.fixture
def build(digits_root, tmp_path):
    def made(*overrides, split="train"):
        folder = [f"loader.cache_dir={tmp_path / 'cache'}"] if "loader.cache=disk" in overrides else []
        return build_loader(compose([f"data.root={digits_root}", *overrides, *folder]), split)

    return made


@pytest.fixture(scope="module", params=WAYS)
def loader(request, digits_root, tmp_path_factory):
    """A loader of each way, for all tests that only read from it."""
    folder = [f"loader.cache_dir={tmp_path_factory.mktemp('cache')}"]
    with build_loader(compose([f"data.root={digits_root}", LIMIT, *WAYS[request.param], *folder])) as made:
        yield made


def digest(batches):
    """One digest of all ids, pixels, labels and weights, in their order."""
    found = hashlib.sha256()
    for batch in batches:
        found.update("\0".join(batch.ids).encode())
        for array in (batch.x, batch.y, batch.sample_weight):
            found.update(b"" if array is None else str((array.shape, array.dtype)).encode() + array.tobytes())
    return found.hexdigest()


def shared_memory():
    """The blocks of Python's own shared memory; other packages leave semaphores there."""
    return {name for name in os.listdir("/dev/shm") if name.startswith(f"keras-runner-{os.getpid()}-")}


@pytest.fixture(scope="module")
def expected(digits_root):
    with build_loader(compose([f"data.root={digits_root}", LIMIT, "loader=generator"])) as loader:
        return [digest(loader.epoch(epoch)) for epoch in range(3)]


def test_every_epoch_has_an_order_of_its_own(expected):
    assert len(set(expected)) == 3


def test_three_epochs_have_the_same_batches(loader, expected):
    assert [digest(loader.epoch(epoch)) for epoch in range(3)] == expected


def test_loader_gives_each_sample_once_per_epoch(loader):
    ids = [name for batch in loader.epoch(0) for name in batch.ids]
    assert sorted(ids) == sorted(loader.source.ids)


def test_loader_begins_at_any_step(loader):
    tail = list(loader.epoch(1))[-3:]
    assert digest(loader.epoch(1, start=len(loader) - 3)) == digest(tail)


def test_batches_may_be_kept(loader, expected):
    kept = list(loader.epoch(0))
    for _ in loader.epoch(1):
        pass
    assert digest(kept) == expected[0]


@dataclass(frozen=True)
class Repeated(Plan):
    """Each sample three times in a batch, in passes that follow each other."""

    def batch(self, epoch, step):
        draw = super().batch(epoch, step)
        return Draw(np.repeat(draw.indices, 3), 3 * epoch + np.tile(np.arange(3), len(draw)))


ALIKE = "sequence, 4 processes"
"""Ends and fails as a single process does; processes take seconds to start."""
FEW = {way: keys for way, keys in WAYS.items() if way != ALIKE}


@pytest.fixture
def repeated(build):
    """The first batches of a loader that repeats samples, each batch as an array of rows by sample and pass."""

    def rows(*overrides):
        with build("data.limit=80", "data.augment.zoom=0.4", "data.augment.rotation=0.2", *overrides) as loader:
            plan = loader.plan
            loader.plan = Repeated(**{one.name: getattr(plan, one.name) for one in fields(plan)})
            read = list(loader.stream(0, 3))
        return [batch.x.reshape(-1, 3, 64) for batch in read], [batch.ids for batch in read]

    return rows


@pytest.mark.parametrize("way", [way for way in FEW if "memory" not in way or "process" not in way])
def test_every_loader_changes_repeats_alike(way, repeated):
    arrays, ids = repeated(*FEW[way])
    expected, names = repeated("loader=generator")
    assert ids == names
    assert [one.tolist() for one in arrays] == [one.tolist() for one in expected]


def test_repeated_sample_is_changed_each_time(repeated):
    arrays, ids = repeated("loader=generator")
    assert ids[0][0] == ids[0][1] == ids[0][2] != ids[0][3]
    for sample in np.concatenate(arrays):
        assert len({row.tobytes() for row in sample}) == 3


@pytest.mark.parametrize("way", FEW)
def test_loader_left_in_the_middle_leaves_nothing(way, build):
    threads, children, shared = set(threading.enumerate()), multiprocessing.active_children(), shared_memory()
    loader = build(LIMIT, *FEW[way])
    batches = loader.epoch(0)
    next(batches)
    batches.close()
    loader.close()
    loader.close()
    left = set(threading.enumerate()) - threads
    assert not [thread for thread in left if thread.name.startswith("loader")]
    for thread in left:
        thread.join(5)  # a pool of processes has threads of its own, which end once they see it closed
    assert set(threading.enumerate()) <= threads
    assert multiprocessing.active_children() == children
    assert shared_memory() <= shared


@pytest.fixture(scope="module")
def bad(digits_root, tmp_path_factory):
    """A file that is no image, among those of two digits."""
    root = tmp_path_factory.mktemp("bad") / "digits"
    for digit in "38":
        shutil.copytree(digits_root / digit, root / digit)
    (root / "3" / "0003.png").write_bytes(b"no image")
    return root / "3" / "0003.png"


@pytest.mark.parametrize("way", FEW)
def test_bad_sample_is_named_by_its_path(way, bad, tmp_path):
    keys = [f"data.root={bad.parents[1]}", "data.validation_split=0", "data.test_split=0"]
    keys += [f"loader.cache_dir={tmp_path / 'cache'}"]
    with build_loader(compose([*keys, *FEW[way]])) as loader, pytest.raises(BadSampleError, match=f"^{bad}: "):
        for _ in loader.epoch(0):
            pass


@pytest.fixture(scope="module")
def stream(digits_root):
    """A loader of 19 steps a pass, and the ids of five passes."""
    keys = [f"data.root={digits_root}", LIMIT, "loader=sequence", "loader.workers=2"]
    with build_loader(compose(keys)) as made:
        assert len(made) == 19
        yield made, [name for epoch in range(5) for batch in made.epoch(epoch) for name in batch.ids]


@pytest.mark.parametrize("steps", [3, 19, 20, 45])
def test_stream_goes_on_over_the_ends_of_passes(steps, stream):
    loader, whole = stream
    parts = [batch for first in range(0, 2 * steps, steps) for batch in loader.stream(first, steps)]
    ids = [name for batch in parts for name in batch.ids]
    assert ids == whole[: len(ids)]
    assert len(parts) == 2 * steps


def test_stream_that_ends_early_is_an_error(build, monkeypatch):
    with build("loader=generator") as loader:
        epoch = type(loader).epoch
        monkeypatch.setattr(
            type(loader), "epoch", lambda self, number, start=0: (b for b, _ in zip(epoch(self, number, start), "abc"))
        )
        with pytest.raises(RunnerError, match="epoch 0 of the data ended after 3 of 40 steps"):
            list(loader.stream(0, 10))


def test_only_training_shuffles_and_drops(build):
    keys = [LIMIT, "loader.drop_remainder=true", "loader.workers=1"]
    with build(*keys) as train, build(*keys, split="validation") as validation:
        assert {len(batch) for batch in train.epoch(0)} == {32}
        given = [name for batch in validation.epoch(0) for name in batch.ids]
        assert given == list(validation.source.ids)


def test_seed_changes_the_order_and_not_the_split(build):
    with build("loader=generator") as one, build("loader=generator", "seed=1") as other:
        assert next(one.epoch(0)).ids != next(other.epoch(0)).ids
        assert list(one.source.ids) == list(other.source.ids)


def test_batches_are_aligned_for_zero_copy(build):
    for way in ("in_memory", "sequence, 4 threads", "sequence, 1 process"):
        with build(LIMIT, *WAYS[way]) as loader:
            assert all(batch.x.ctypes.data % 64 == 0 for batch in loader.epoch(0))


@pytest.mark.parametrize(
    ("mode", "shape"), [("categorical", (32, 10)), ("sparse", (32,)), ("input", (32, 8, 8, 1)), ("null", None)]
)
def test_targets_follow_the_class_mode(mode, shape, build):
    with build("loader=generator", f"data.class_mode={mode}") as loader:
        batch = next(loader.epoch(0))
    assert (None if batch.y is None else batch.y.shape) == shape
    if mode == "input":
        assert np.array_equal(batch.x, batch.y)
        assert not np.shares_memory(batch.x, batch.y)


@pytest.mark.parametrize("way", ["in_memory", "generator", "sequence, 4 threads", "sequence, 1 process"])
def test_other_augmentation_begins_at_next_stream(build, way):
    """As in another phase of a training; what was read ahead is given up with the stream before."""
    plain, other = ["data.limit=60", *WAYS[way]], ["data.augment.flip=vertical", "data.augment.mixup=0.4"]
    with build(*plain, *other) as expected, build(*plain) as loader:
        next(stream := loader.stream(0))
        stream.close()
        loader.augment_by(PhaseAugmentation(expected.reader.transforms, expected.blend))
        assert digest(loader.stream(1, 1)) == digest(expected.stream(1, 1))
        loader.augment_by(PhaseAugmentation(()))
        with build(*plain) as before:
            assert digest(loader.stream(1, 1)) == digest(before.stream(1, 1))
