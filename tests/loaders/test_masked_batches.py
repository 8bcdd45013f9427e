"""Images with masks: every loader gives the same batches, augmented alike, with the mask as target."""

from dataclasses import replace

import numpy as np
import pytest

from runner import build_loader, compose
from runner.modes.open_data import open_dataset
from runner.modes.pipeline import open_loader
from runner.records.digests import array_digest
from tests.support.masks import discs, write_discs

pytestmark = pytest.mark.usefixtures("forked_workers")

PROCESSES = ["loader=sequence", "loader.workers=1", "loader.use_multiprocessing=true"]
WAYS = {
    "in_memory": ["loader=in_memory", "loader.workers=2"],
    "threads": ["loader=sequence", "loader.workers=3"],
    "processes": PROCESSES,
    "threads, kept in memory": ["loader=sequence", "loader.workers=2", "loader.cache=memory"],
    "generator, kept on disk": ["loader=generator", "loader.cache=disk"],
    "directory_flow": ["loader=directory_flow", "loader.workers=2"],
}
AUGMENT = ["data.augment.flip=horizontal_and_vertical", "data.augment.crop=[7,8]", "data.augment.brightness=0.1"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("discs"), 14)


@pytest.fixture
def opened(root, tmp_path):
    keys = ["data.validation_split=0", "loader.batch_size=4", f"loader.cache_dir={tmp_path / 'cache'}"]
    return lambda *more, split="train": build_loader(compose([*discs(root), *keys, *more]), split)


def digests(loader):
    return [[(batch.ids, array_digest(batch.x, batch.y)) for batch in loader.epoch(epoch)] for epoch in range(2)]


@pytest.fixture(scope="module")
def expected(root):
    with build_loader(
        compose([*discs(root, *AUGMENT), "data.validation_split=0", "loader.batch_size=4", "loader=generator"])
    ) as loader:
        return digests(loader)


@pytest.mark.parametrize("way", WAYS)
def test_every_loader_gives_the_same_masks(way, opened, expected):
    with opened(*AUGMENT, *WAYS[way]) as loader:
        assert digests(loader) == expected


def test_mask_is_target_and_moves_with_its_image(opened):
    with opened(*AUGMENT[:2], "loader=generator") as loader:
        for epoch in range(3):
            for batch in loader.epoch(epoch):
                assert (batch.x.shape, batch.y.shape) == ((len(batch), 7, 8, 3), (len(batch), 7, 8))
                assert batch.y.dtype == np.uint8
                # A disc is red in the image; flips and crops keep every pixel as it is.
                assert np.array_equal(batch.x[..., 0] >= 150, batch.y == 1)
        assert batch.x.ctypes.data % 64 == batch.y.ctypes.data % 64 == 0


def test_other_splits_show_the_centre_of_both(opened):
    keys = ["data.augment.crop=[6,5]", "data.test_split=0.5", "loader=generator"]
    with opened(*keys, split="test") as loader:
        batch = loader.first_batch()
    red = batch.x[..., 0].astype(int)
    assert red[batch.y == 1].mean() > red[batch.y == 0].mean() + 80


@pytest.mark.parametrize("fill_mode", ["reflect", "constant"])
def test_moved_masks_lie_over_their_images(opened, fill_mode):
    moves = ["data.augment.rotation=0.1", "data.augment.zoom=0.1", "data.augment.translation=[0.2,0.2]"]
    keys = [f"data.augment.fill_mode={fill_mode}", "data.ignore_value=7", "loader=generator"]
    with opened(*moves, *keys) as loader:
        batches = [batch for epoch in range(4) for batch in loader.epoch(epoch)]
    x, y = (np.concatenate([getattr(batch, name) for batch in batches]) for name in "xy")
    assert ((y == 255).any()) == (fill_mode == "constant")
    assert set(np.unique(y)) <= {0, 1, 255}
    # Outside of the image both are empty, inside nearest and linear differ only at the edge of a disc.
    assert (x[y == 255] < 160).all()
    assert np.mean((x[..., 0] >= 125)[y != 255] == (y == 1)[y != 255]) > 0.95
    discs_seen = (y == 1).sum()
    assert ((x[..., 0] >= 125) & (y == 1)).sum() > 0.8 * discs_seen


def test_images_of_many_channels_move_alike(tmp_path):
    random = np.random.default_rng(0)
    y = random.integers(0, 2, (6, 9, 9), np.uint8)
    x = np.repeat(y[..., None], 7, axis=3) * np.arange(10, 80, 10, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    keys = ["data=arrays", f"data.path={tmp_path}/a.npz", "data.class_mode=mask", "data.mask_values={0: a, 1: b}"]
    keys += ["data.augment.flip=horizontal", "data.augment.crop=[7,7]", "loader=generator", "data.validation_split=0"]
    with build_loader(compose(keys)) as loader:
        for batch in loader.epoch(0):
            assert np.array_equal(batch.x, batch.y[..., None] * np.arange(10, 80, 10, dtype=np.uint8))


def test_transform_gets_image_and_mask(opened, tmp_path, monkeypatch):
    (tmp_path / "mine_turned.py").write_text(
        "def turned(sample, rng):\n    return {name: array[::-1].copy() for name, array in sample.items()}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with (
        opened("loader=generator") as plain,
        opened("loader=generator", "data.transform=mine_turned.turned", "extensions=[mine_turned]") as other,
    ):
        before, after = plain.first_batch(), other.first_batch()
    assert np.array_equal(after.x, before.x[:, ::-1])
    assert np.array_equal(after.y, before.y[:, ::-1])


def test_cache_on_disk_follows_the_classes(root, tmp_path):
    """The same files with other classes are other samples."""

    def masks(values):
        keys = [key for key in discs(root) if not key.startswith("data.mask_values")]
        keys += [f"data.mask_values={values}", "data.validation_split=0", "loader=generator", "loader.cache=disk"]
        with build_loader(compose([*keys, f"loader.cache_dir={tmp_path}"])) as loader:
            return [batch.y for batch in loader.epoch(0)]

    before, after = masks("{0: ground, 255: disc}"), masks("{255: disc, 0: ground}")
    assert all(np.array_equal(one, 1 - other) for one, other in zip(before, after, strict=True))


def test_cache_on_disk_follows_a_models_classes(root, tmp_path):
    """Codes are those of the model, whatever order the settings have."""
    config = compose([*discs(root), "loader=generator", "loader.cache=disk", f"loader.cache_dir={tmp_path}"])
    (head,) = config.data.open().heads
    masks = []
    for heads in ((head,), (replace(head, class_names=("disc", "ground")),)):
        dataset = open_dataset(config, heads)
        with open_loader(config, config.loader, dataset, "validation") as loader:
            masks.append([batch.y for batch in loader.epoch(0)])
    assert all(np.array_equal(one, 1 - other) for one, other in zip(*masks, strict=True))
