"""The folder of a pack belongs to one pack and one process; the disk must have room for it."""

import fcntl
import json
from collections import namedtuple

import numpy as np
import pytest

from runner import compose
from runner.errors import ConfigurationError, DataError
from runner.packs import plan
from tests.support.packs import digests, record_of, write_pack
from tests.support.photos import write_photos


@pytest.fixture
def keys(tmp_path):
    root = write_photos(tmp_path / "photos", ["cat", "dog"], 6)
    return ["data=directory", f"data.root={root}", "data.target_size=[8,8]"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("pack.seed=1", r"pack\.seed changed from 0 to 1"),
        ("pack.encode=npy", r"pack\.encode changed from keep to npy"),
        ("pack.order=kept", r"pack\.order changed from shuffled to kept"),
        ("data.target_size=[4,4]", r"data\.target_size changed from \[8, 8\] to \[4, 4\]"),
    ],
)
def test_folder_of_another_pack_is_refused(tmp_path, keys, changed, named):
    pack = write_pack(tmp_path, *keys)
    before = digests(pack)
    with pytest.raises(DataError, match=rf"pack\.to=.*packed holds another pack: .*{named}"):
        write_pack(tmp_path, *keys, changed)
    assert digests(pack) == before


def test_whole_pack_is_left_as_it_is(tmp_path, keys, capsys):
    pack = write_pack(tmp_path, *keys)
    before = {file: file.stat().st_mtime_ns for file in pack.iterdir()}
    write_pack(tmp_path, *keys, "data.on_bad=skip", "data.augment.flip=horizontal")
    assert "holds this pack already; nothing is written" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in pack.iterdir()} == before
    assert sum(record_of(tmp_path)["results"]["pack"]["samples"].values()) == 12


def test_large_pack_keeps_columns_at_once(tmp_path, keys, monkeypatch, capsys):
    monkeypatch.setattr("runner.data.pack_index.KEPT_FROM", 12)
    pack = write_pack(tmp_path, *keys)
    assert len(np.load(pack / ".columns" / "offset.npy")) == 12
    write_pack(tmp_path, *keys)
    assert "holds this pack already; nothing is written" in capsys.readouterr().out


def test_files_of_no_pack_are_refused(tmp_path, keys):
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="must be a new or empty folder, or hold this pack; it holds thesis.txt"):
        write_pack(tmp_path, *keys)
    assert [file.name for file in (tmp_path / "packed").iterdir()] == ["thesis.txt"]


def test_folder_in_use_is_refused(tmp_path, keys):
    (tmp_path / "packed").mkdir()
    with (tmp_path / "packed" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process writes to pack.to="):
            write_pack(tmp_path, *keys)


def test_data_that_changed_meanwhile_is_refused(tmp_path, keys):
    (tmp_path / "photos" / "cat" / "02.png").write_bytes(b"")
    with pytest.raises(DataError, match="empty file"):
        write_pack(tmp_path, *keys)
    (tmp_path / "photos" / "cat" / "02.png").write_bytes((tmp_path / "photos" / "cat" / "03.png").read_bytes())
    with pytest.raises(DataError, match="the files of the data have changed since it was begun"):
        write_pack(tmp_path, *keys)


def test_full_disk_is_refused_with_figures(tmp_path, keys, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda path: usage(1000))
    with pytest.raises(DataError, match=r"pack\.to=.* needs [\d.]+ kB of disk, but only 1.0 kB are free there"):
        write_pack(tmp_path, *keys)


def test_second_copy_counts_where_buckets_are(tmp_path, keys, monkeypatch):
    config = compose([*keys, "mode=pack", "pack.to=packed"])
    dataset = config.data.open()
    small = plan.PackPlan.of(config.pack, tmp_path, dataset, config.data.document())
    assert small.needed_bytes == small.pack_bytes
    monkeypatch.setattr(plan, "IN_MEMORY", 0)
    large = plan.PackPlan.of(config.pack, tmp_path, dataset, config.data.document())
    assert large.needed_bytes == large.pack_bytes + large.num_bytes["train"]
    assert large.num_reads == 2 * large.num_samples


def test_pack_needs_a_folder_to_write_to():
    with pytest.raises(ConfigurationError, match=r"pack\.to must be the folder to write to with mode=pack, got null"):
        compose(["mode=pack"])


@pytest.mark.parametrize("encode", ["jpeg", "jpeg:0:8", "jpeg:101:8", "jpeg:90:0", "png"])
def test_unknown_encodings_are_refused(encode):
    with pytest.raises(ConfigurationError, match=r"pack\.encode"):
        compose(["mode=pack", "pack.to=packed", f"pack.encode={encode}"])


def test_pack_without_pyarrow_names_the_extra(monkeypatch):
    from runner import component

    monkeypatch.setattr(component, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError) as refused:
        compose(["mode=pack", "pack.to=packed"])
    assert refused.value.problems == (
        "mode=pack needs the package pyarrow, which is not installed; pip install 'keras-runner[parquet]', or read the "
        "samples from where they are",
    )


def test_pack_json_describes_the_data(tmp_path, keys):
    pack = write_pack(tmp_path, *keys, "data.augment.flip=horizontal")
    document = json.loads((pack / "pack.json").read_text())
    assert (document["version"], document["encode"], document["order"], document["seed"]) == (1, "keep", "shuffled", 0)
    assert document["heads"][0]["class_names"] == ["cat", "dog"]
    assert document["fields"] == [{"name": "", "word": "", "holds": "image", "shape": [8, 8, 3], "dtype": "uint8"}]
    assert document["data"]["target_size"] == [8, 8]
    assert not {"augment", "on_bad"} & document["data"].keys()
    shards = [shard for of_split in document["shards"].values() for shard in of_split]
    assert all((pack / shard["file"]).stat().st_size == shard["bytes"] for shard in shards)
    assert np.sum([shard["samples"] for shard in shards]) == 12
