"""`loader.order=blocks` over real packs: one digest whoever reads them, masks next to their images, held-out splits."""

import hashlib

import pytest

from runner import build_loader, compose
from runner.distribute.ranks import Rank, Share
from runner.fields import arrays_of
from tests.support.large_files import Disk
from tests.support.masks import write_discs
from tests.support.packs import write_pack

pytestmark = pytest.mark.usefixtures("forked_workers")

BY_BLOCKS = ["loader.order=blocks", "loader.block_mb=0.03", "loader.window_mb=0.1", "loader.batch_size=8"]
WAYS = {
    "generator": ["loader=generator"],
    "2 threads": ["loader=sequence", "loader.workers=2"],
    "2 processes": ["loader=sequence", "loader.workers=2", "loader.use_multiprocessing=true"],
    "in_memory": ["loader=in_memory", "loader.workers=2"],
    "directory_flow": ["loader=directory_flow", "loader.workers=2"],
    "kept on disk": ["loader=sequence", "loader.workers=2", "loader.cache=disk"],
}


@pytest.fixture(scope="module")
def pack(digits_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    return write_pack(folder, f"data.root={digits_root}", "data.limit=300", "pack.shard_mb=1")


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discs")
    root = write_discs(folder / "discs", 40)
    keys = ["data=directory", f"data.root={root}/images", f"data.masks={root}/masks", "data.class_mode=mask"]
    return write_pack(folder, *keys, "data.mask_values={0: ground, 255: disc}", "data.target_size=[8,8]")


def build(pack, *keys, split="train"):
    return build_loader(compose(["data=pack", f"data.root={pack}", *BY_BLOCKS, *keys]), split)


def digest(batches):
    found = hashlib.sha256()
    for batch in batches:
        found.update("\0".join(batch.ids).encode())
        for _, array in (*arrays_of(batch.x), *arrays_of(batch.y)):
            found.update(array.tobytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def expected(pack):
    """The digest of an epoch whose samples are read one by one."""
    with build(pack, "loader=generator") as loader:
        return digest(loader.batch(1, step) for step in range(len(loader)))


@pytest.mark.parametrize("way", WAYS)
def test_every_loader_has_one_digest(way, pack, expected, tmp_path):
    with build(pack, *WAYS[way], f"loader.cache_dir={tmp_path}") as loader:
        assert len(loader.plan.blocks.order(0, 1).windows) > 4
        whole = list(loader.epoch(1))
        assert digest(whole) == expected
        assert digest(loader.epoch(1, start=13)) == digest(whole[13:])


@pytest.mark.parametrize("way", ["2 threads", "in_memory"])
def test_ranks_take_their_rows_of_blocks(way, pack):
    with build(pack, *WAYS[way]) as loader:
        whole, *ranks = (
            read_by(loader, share) for share in (None, *(Share(Rank(n, 2), num_devices=2) for n in (0, 1)))
        )
    assert [ids for ids, _ in whole][:-1] == [one[0] + two[0] for one, two in zip(*ranks, strict=True)][:-1]
    assert [x for _, x in whole][:-1] == [one[1] + two[1] for one, two in zip(*ranks, strict=True)][:-1]
    assert len(whole) > 20


def read_by(loader, share):
    """Ids and bytes of the batches of an epoch."""
    loader.share = share
    return [(batch.ids, batch.x.tobytes()) for batch in loader.epoch(1)]


def test_held_out_samples_follow_the_files(pack):
    with build(pack, split="validation") as loader:
        ids, spans = [name for batch in loader.epoch(0) for name in batch.ids], loader.source.spans()
        in_order = sorted(range(len(spans.file)), key=lambda index: (spans.file[index], spans.offset[index]))
        assert ids == [loader.source.ids[index] for index in in_order]
        assert ids != list(loader.source.ids)


def test_masks_come_out_of_the_same_windows(masks, monkeypatch):
    with build(masks, "loader=generator", "loader.window_mb=1") as loader:
        expected = digest(loader.batch(0, step) for step in range(len(loader)))
    disk = Disk(monkeypatch, ".tar")
    with build(masks, "loader=sequence", "loader.workers=2", "loader.window_mb=1") as loader:
        assert digest(loader.epoch(0)) == expected
        assert disk.seeks <= len(loader.plan.blocks.num_bytes) < loader.num_samples / 4
