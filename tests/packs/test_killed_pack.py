"""A pack that is killed continues after its last whole shard, and ends with the same bytes."""

import subprocess
import sys

import pytest

from tests.support.packs import digests, write_pack
from tests.support.photos import write_photos

KILLED = -9
IN_A_CHILD = """
import os, signal, sys
from pathlib import Path
from runner.packs import buckets, index, plan, shards
from tests.support.packs import write_pack

folder, point, number, *keys = sys.argv[1:]
plan.IN_MEMORY, plan.MOST_BUCKET = 0, 300_000
left = int(number)

def die_before(owner, name, once_there=None):
    do = getattr(owner, name)
    def counted(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*arguments, **named)
    setattr(owner, name, counted)

if point == "bucket":
    die_before(buckets.Buckets, "_flush")
elif point == "shard":
    die_before(shards.ShardWriter, "finish")
elif point == "part":
    die_before(Path, "replace")
elif point == "index":
    import runner.modes.pack
    die_before(runner.modes.pack, "write_index")
write_pack(Path(folder), *keys)
"""


@pytest.fixture
def keys(tmp_path):
    """Two megabytes of images, for two shards and several buckets."""
    root = write_photos(tmp_path / "photos", ["cat", "dog"], 22, size=(128, 128))
    return ["data=directory", f"data.root={root}", "data.target_size=[8,8]", "data.validation_split=0.1"]


def pack_until(point, number, folder, keys):
    """Write the pack in a process, which is killed before the given step, if it gets there; its exit code."""
    command = [sys.executable, "-c", IN_A_CHILD, folder, point, str(number), *keys]
    return subprocess.run(command, capture_output=True, check=False).returncode


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
    assert pack_until("none", 0, tmp_path, keys) == 0
    assert digests(pack) == whole
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


@pytest.mark.parametrize("number", [2, 3])
def test_shard_without_its_part_is_written_again(tmp_path, keys, number):
    keys += ["pack.shard_mb=1", "pack.order=kept"]
    whole = digests(write_pack(tmp_path, *keys, to="whole"))
    assert pack_until("part", number, tmp_path, keys) == KILLED
    assert digests(write_pack(tmp_path, *keys)) == whole
