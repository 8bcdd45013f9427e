"""Changed samples: the same wherever they are changed, others in every epoch, and only in training."""

import numpy as np
import pytest

from runner import build_loader, compose
from runner.batch import ArraySpec
from runner.errors import BadSampleError
from runner.loaders.kinds import Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from runner.transforms.transform import UserTransform
from tests.support.sources import NumberSource

pytestmark = pytest.mark.usefixtures("forked_workers")

WAYS = {
    "in_memory": ["loader=in_memory", "loader.workers=3"],
    "in_memory in the caller": ["loader=in_memory", "loader.workers=0"],
    "in_memory, filled by processes": ["loader=in_memory", "loader.workers=1", "loader.use_multiprocessing=true"],
    "sequence in the caller": ["loader=sequence", "loader.workers=0"],
    "sequence, 4 threads": ["loader=sequence", "loader.workers=4"],
    "sequence, 2 processes": ["loader=sequence", "loader.workers=2", "loader.use_multiprocessing=true"],
    "directory_flow": ["loader=directory_flow", "loader.workers=2"],
    "auto": ["loader=auto"],
}
AUGMENT = [
    "data.augment.flip=horizontal_and_vertical",
    "data.augment.crop=[10,10]",
    "data.augment.translation=[0.1,0.2]",
    "data.augment.rotation=0.1",
    "data.augment.zoom=0.2",
    "data.augment.brightness=0.1",
    "data.augment.contrast=0.3",
    "data.target_size=[12,12]",
    "data.color_mode=rgb",
    "data.limit=100",
    "data.transform=mine_t.noisy",
    "extensions=[mine_t]",
]
MINE = """
import numpy as np

def noisy(array, rng):
    return array / 255 + rng.normal(0, 0.01, (10, 10, 3))

def unlike(array, rng):
    return array[: rng.integers(3, 8)]

def fails(array, rng):
    if rng.integers(20) == 7:
        raise KeyError("seven")
    return array
"""


@pytest.fixture
def build(digits_root, tmp_path, monkeypatch):
    (tmp_path / "mine_t.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return lambda *keys, split="train": build_loader(compose([f"data.root={digits_root}", *keys]), split)


def epochs(loader, numbers=(0, 1, 2)):
    return [[(batch.ids, batch.x.copy(), batch.y) for batch in loader.epoch(number)] for number in numbers]


def by_id(batches):
    return {name: row.tobytes() for ids, x, _ in batches for name, row in zip(ids, x, strict=True)}


def assert_equal(found, expected):
    for batches, others in zip(found, expected, strict=True):
        for (ids, x, y), (other_ids, other_x, other_y) in zip(batches, others, strict=True):
            assert ids == other_ids
            assert np.array_equal(x, other_x)
            assert np.array_equal(y, other_y)


@pytest.fixture(scope="module")
def plain():
    """Three epochs of a generator, once one read them."""
    return []


@pytest.mark.parametrize("way", WAYS)
def test_transformed_samples_match_everywhere(way, build, plain):
    if not plain:
        with build(*AUGMENT, "loader=generator") as generator:
            plain.extend(epochs(generator))
    expected = plain
    with build(*AUGMENT, *WAYS[way]) as loader:
        assert_equal(epochs(loader), expected)
        assert_equal(epochs(loader, [2]), expected[2:])
        tail = next(loader.epoch(1, start=len(loader) - 1))
        assert np.array_equal(tail.x, expected[1][-1][1])
    assert (loader.spec.shape, str(loader.spec.dtype)) == ((10, 10, 3), "float32")


def test_every_epoch_transforms_differently(build):
    with build(*AUGMENT, "loader=in_memory") as loader:
        first, second = map(by_id, epochs(loader, [0, 1]))
    assert set(first) == set(second)
    assert all(first[name] != second[name] for name in first)


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("kind", ["in_memory", "sequence"])
def test_other_splits_are_never_augmented(build, split, kind):
    keys = [key for key in AUGMENT if "crop" not in key and "transform" not in key]
    with build(*keys, f"loader={kind}", split=split) as loader, build(*keys[-4:], split=split) as plain:
        assert_equal(epochs(loader, [0, 1]), epochs(plain, [0, 0]))


def test_other_splits_transform_alike(build):
    with build(*AUGMENT, split="test") as loader:
        first, second = epochs(loader, [0, 1])
    assert by_id(first) == by_id(second)
    assert first[0][1].shape == (32, 10, 10, 3)


@pytest.mark.parametrize("kind", ["in_memory", "sequence"])
def test_input_targets_are_transformed_as_keras(build, kind):
    with build(*AUGMENT, "data.class_mode=input", f"loader={kind}") as loader:
        batch = next(loader.epoch(1))
    assert np.array_equal(batch.x, batch.y)
    assert not np.shares_memory(batch.x, batch.y)


def test_flow_index_gives_the_same_batch(build):
    with build(*AUGMENT, "loader=directory_flow") as flow:
        first = next(flow)
        assert np.array_equal(flow[0][0], first[0])
        assert flow.image_shape == (10, 10, 3)
        assert flow.target_size == (10, 10)


@pytest.mark.parametrize("multiprocessing", ["true", "false"])
def test_sample_that_comes_out_otherwise_is_named(build, multiprocessing):
    keys = ["data.transform=mine_t.unlike", "extensions=[mine_t]", f"loader.use_multiprocessing={multiprocessing}"]
    with (
        build(*keys, "loader.workers=1") as loader,
        pytest.raises(BadSampleError, match=r"^\d/\d{4}\.png: data\.transform=mine_t\.unlike must return 7×8×1 uint8"),
    ):
        list(loader.epoch(0))


@pytest.mark.parametrize("multiprocessing", ["true", "false"])
def test_user_function_error_names_the_sample(build, multiprocessing):
    keys = ["data.transform=mine_t.fails", "extensions=[mine_t]", f"loader.use_multiprocessing={multiprocessing}"]
    with build(*keys, "loader.workers=1") as loader, pytest.raises(KeyError, match="seven") as failed:
        list(loader.epoch(0))
    assert failed.value.__notes__[0] == "in data.transform=mine_t.fails"
    assert failed.value.__notes__[1].startswith("while transforming sample ")


def spoils(array, rng):
    array += 100
    return np.concatenate([array, array])


@pytest.mark.parametrize("workers", [0, 2])
def test_cached_samples_are_read_once_unchanged(workers):
    source, spec = NumberSource(20), ArraySpec((2,), np.dtype(np.float32))
    change = UserTransform("spoils", spoils, spec, 0, True)
    with InMemory(workers=workers).build(source, Plan(20, 5), (change,)) as loader:
        for epoch in range(3):
            values = np.concatenate([batch.x[:, 0] for batch in loader.epoch(epoch)])
            assert sorted(values) == list(range(100, 120))
    assert source.reads == 20


def test_stated_memory_covers_input_and_output():
    read, given = ArraySpec((10,), np.dtype(np.uint8)), ArraySpec((10,), np.dtype(np.float32))
    assert InMemory(workers=0).num_bytes(given, 1000, read) == 1000 * 10 + 4 * 32 * 40
    assert InMemory(workers=2).num_bytes(given, 1000, read) == 1000 * 10 + max(5 * 64 * 10, 8 * 32 * 40)
    assert Sequence().num_bytes(given, 1000, read) == Sequence().num_bytes(given, 1000) == (10 + 4) * 32 * 40
    assert Generator().num_bytes(given, 1000, read) == 4 * 32 * 40
