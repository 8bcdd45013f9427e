"""A pack that is killed continues after its last whole shard, and ends with the same bytes."""

import os
import signal
from pathlib import Path

import pytest

import runner.modes.pack
from runner.packs import buckets, plan, shards
from tests.support.forked_process import forking
from tests.support.packs import digests, write_pack
from tests.support.photos import write_photos

KILLED = -9
STEPS = {
    "bucket": (buckets.Buckets, "_flush"),
    "shard": (shards.ShardWriter, "finish"),
    "part": (Path, "replace"),
    "index": (runner.modes.pack, "write_index"),
}


def write_and_die(folder, point, number, keys):
    """Write the pack in a process of its own, and die before that step of this number, counted from 0."""
    plan.IN_MEMORY, plan.MOST_BUCKET = 0, 300_000
    if point is not None:
        die_before(*STEPS[point], number)
    write_pack(folder, *keys)


def die_before(owner, name, left):
    do, times = getattr(owner, name), iter(range(left))

    def counted(*arguments, **named):
        if next(times, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*arguments, **named)

    setattr(owner, name, counted)


@pytest.fixture
def keys(tmp_path):
    """Two megabytes of images, for two shards and several buckets."""
    root = write_photos(tmp_path / "photos", ["cat", "dog"], 22, size=(128, 128))
    return ["data=directory", f"data.root={root}", "data.target_size=[8,8]", "data.validation_split=0.1"]


def pack_until(point, number, folder, keys):
    """Write the pack in a process, which is killed before the given step, if it gets there; its exit code."""
    process = forking().Process(target=write_and_die, args=(folder, point, number, keys))
    process.start()
    process.join()
    return process.exitcode


def test_killed_pack_ends_with_the_same_bytes(tmp_path, keys):
    keys.append("pack.shard_mb=1")
    whole = digests(write_pack(tmp_path, *keys, to="whole"))
    pack = tmp_path / "packed"
    assert pack_until("bucket", 2, tmp_path, keys) == KILLED
    assert not list(pack.glob("[!.]*.tar"))
    assert pack_until("shard", 1, tmp_path, keys) == KILLED
    first = pack / "train-000000.tar"
    written = first.stat()
    assert sorted(file.name for file in pack.glob("[!.]*.tar")) == [first.name]
    assert pack_until("index", 0, tmp_path, keys) == KILLED
    assert not (pack / "pack.json").exists()
    assert pack_until(None, 0, tmp_path, keys) == 0
    assert digests(pack) == whole
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


@pytest.mark.parametrize("number", [2, 3])
def test_shard_without_its_part_is_written_again(tmp_path, keys, number):
    keys += ["pack.shard_mb=1", "pack.order=kept"]
    whole = digests(write_pack(tmp_path, *keys, to="whole"))
    assert pack_until("part", number, tmp_path, keys) == KILLED
    assert digests(write_pack(tmp_path, *keys)) == whole
