"""Shards are plain tar files; the index says where each sample is in them, in the order of the source."""

import json
import subprocess
import tarfile

import numpy as np
import pyarrow.parquet as parquet
import pytest
import xxhash
from PIL import Image

from runner import compose
from runner.errors import BadSampleError
from tests.support.masks import write_discs
from tests.support.packs import digests, members, record_of, write_pack
from tests.support.photos import write_photos


@pytest.fixture
def photos(tmp_path):
    """2.4 MB of images in two classes."""
    return write_photos(tmp_path / "photos", ["cat", "dog"], 25, size=(128, 128))


def keys_of(root):
    return ["data=directory", f"data.root={root}", "data.target_size=[8,8]", "data.test_split=0.1", "pack.shard_mb=1"]


def rows_of(pack):
    return parquet.read_table(pack / "index.parquet").to_pylist()


def test_index_finds_the_bytes_of_every_file(tmp_path, photos):
    pack = write_pack(tmp_path, *keys_of(photos))
    sources = compose(keys_of(photos)).data.open().splits
    rows = rows_of(pack)
    assert [row["id"].decode() for row in rows] == [name for source in sources.values() for name in source.ids]
    assert [row["label"] for row in rows] == [code for one in sources.values() for code in one.labels.columns[0]]
    for row in rows:
        shard = (pack / f"{row['split']}-{row['shard']:06}.tar").read_bytes()
        data = shard[row["offset"] : row["offset"] + row["size"]]
        assert data == (photos / row["id"].decode()).read_bytes()
        assert xxhash.xxh3_128_digest(data) == row["xxh3"]


def test_tar_and_tarfile_read_shards_alike(tmp_path, photos):
    pack = write_pack(tmp_path, *keys_of(photos))
    assert len(list(pack.glob("train-*.tar"))) > 1
    shard = pack / "train-000000.tar"
    listed = subprocess.run(["tar", "tvf", shard], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    with tarfile.open(shard) as tar:
        infos = tar.getmembers()
    assert [line.split()[-1] for line in listed.stdout.splitlines()] == [info.name for info in infos]
    assert {(info.mode, info.uid, info.gid, info.mtime) for info in infos} == {(0o644, 0, 0, 0)}
    offsets = {(row["position"], row["offset"]) for row in rows_of(pack) if row["split"] == "train"}
    assert {(int(info.name[:9]), info.offset_data) for info in infos if info.name.endswith(".png")} <= offsets


def test_shards_number_positions_without_gaps(tmp_path, photos):
    pack = write_pack(tmp_path, *keys_of(photos))
    names = [name for shard in sorted(pack.glob("train-*.tar")) for name in members(shard)]
    count = len(names) // 2
    assert names == [f"{number:09}{suffix}" for number in range(count) for suffix in (".png", ".json")]
    assert all(shard.stat().st_size <= 1 << 20 for shard in pack.glob("*.tar"))
    assert sorted(row["position"] for row in rows_of(pack) if row["split"] == "train") == list(range(count))


def test_json_describes_each_sample(tmp_path, digits_root):
    table = tmp_path / "table.csv"
    files = [f"{digit}/{file.name}" for digit in "37" for file in sorted((digits_root / digit).iterdir())[:3]]
    lines = [f"{name},{name[0]},n{name[0]}|odd,{number / 2}" for number, name in enumerate(files)]
    table.write_text("\n".join(["path,digit,tags,size", *lines]))
    modes = "data.class_mode={digit: sparse, tags: multi_label, size: raw}"
    keys = ["data=dataframe", f"data.manifest={table}", f"data.root={digits_root}", "data.weight_column=size", modes]
    pack = write_pack(tmp_path, *keys, "data.validation_split=0", "pack.order=kept")
    found = members(pack / "train-000000.tar")
    assert json.loads(found["000000003.json"]) == {
        "id": files[3],
        "split": "train",
        "labels": {"digit": files[3][0], "tags": ["n7", "odd"], "size": 1.5},
        "weight": 1.5,
        "fields": {"sample": ".png"},
    }
    row = rows_of(pack)[3]
    assert (row["label_size"], row["weight"], row["label_tags"]) == (1.5, 1.5, [0, 1, 1])


def test_several_fields_are_neighbours(tmp_path):
    root = write_discs(tmp_path / "discs", 4)
    keys = [f"data.root={root / 'images'}", f"data.masks={root / 'masks'}", "data.mask_values={0: ground, 255: disc}"]
    pack = write_pack(tmp_path, "data=directory", *keys, "data.class_mode=mask", "pack.order=kept")
    names = [name.partition(".")[2] for name in members(pack / "train-000000.tar")][:3]
    assert [name.rpartition(".")[0] for name in names] == ["image", "mask", ""]
    row = rows_of(pack)[0]
    shard = (pack / "train-000000.tar").read_bytes()
    mask = row["offset"] + -(-row["size_image"] // 512) * 512 + 512
    data = shard[mask : mask + row["size_mask"]]
    assert xxhash.xxh3_128_digest(data) == row["xxh3_mask"]


def test_same_data_gives_the_same_files(tmp_path, photos):
    one = write_pack(tmp_path, *keys_of(photos))
    assert digests(one) == digests(write_pack(tmp_path, *keys_of(photos), "loader.workers=0", to="again"))
    other = write_pack(tmp_path, *keys_of(photos), "pack.seed=1", to="other")
    assert digests(one, ".tar").keys() == digests(other, ".tar").keys()
    assert digests(one, ".tar") != digests(other, ".tar")


def test_ids_keep_bytes_that_are_not_utf8(tmp_path, photos):
    (photos / "cat" / "00.png").rename(photos / "cat" / "caf\udce9.png")
    pack = write_pack(tmp_path, *keys_of(photos))
    assert b"cat/caf\xe9.png" in [row["id"] for row in rows_of(pack)]


def test_record_says_what_was_packed(tmp_path, photos):
    pack = write_pack(tmp_path, *keys_of(photos))
    results, shards = record_of(tmp_path)["results"]["pack"], list(pack.glob("*.tar"))
    assert sum(results["samples"].values()) == 50
    assert (results["shards"], results["bytes"]) == (len(shards), sum(shard.stat().st_size for shard in shards))
    assert results["digest"] == json.loads((pack / "pack.json").read_text())["digest"]
    assert results["seconds"] > 0


def test_bad_file_ends_or_is_left_out(tmp_path, photos, capsys):
    (photos / "cat" / "03.png").write_bytes(b"")
    with pytest.raises(Exception, match=r"cat/03\.png: empty file; data\.on_bad=skip leaves it out"):
        write_pack(tmp_path, *keys_of(photos))
    pack = write_pack(tmp_path, *keys_of(photos), "data.on_bad=skip")
    assert "bad sample" in capsys.readouterr().out
    assert len(rows_of(pack)) == 49
    assert json.loads((pack / "pack.json").read_text())["left_out"] == {"validation": 1}
    assert (tmp_path / "run-packed" / "bad_samples.csv").read_text().count("cat/03.png") == 2


@pytest.mark.parametrize("encode", ["keep", "jpeg:90:8"])
def test_pack_of_changed_bytes_is_refused(tmp_path, photos, encode):
    first = write_pack(tmp_path, *keys_of(photos))
    (place,) = compose(["data=pack", f"data.root={first}"]).data.open().splits["train"].places(2)
    with open(place.file, "r+b") as file:
        file.seek(place.offset + place.size - 1)  # of a PNG: behind all that a decoder looks at
        file.write(b"!")
    keys = ("data=pack", f"data.root={first}", f"pack.encode={encode}")
    with pytest.raises(BadSampleError, match=rf"{place.member}: its bytes are not those that were"):
        write_pack(tmp_path, *keys, to="again")
    write_pack(tmp_path, *keys, "data.on_bad=skip", to="again")
    assert json.loads((tmp_path / "again" / "pack.json").read_text())["left_out"] == {"train": 1}


def test_jpeg_shrinks_and_never_enlarges(tmp_path):
    root = write_photos(tmp_path / "photos", ["big"], 3, size=(60, 90))
    write_photos(root, ["small"], 3, size=(20, 30))
    keys = ["data=directory", f"data.root={root}", "data.validation_split=0", "pack.order=kept"]
    pack = write_pack(tmp_path, *keys, "pack.encode=jpeg:80:40")
    found = members(pack / "train-000000.tar")
    for number, size in ((0, (60, 40)), (5, (30, 20))):
        (tmp_path / "one.jpg").write_bytes(found[f"{number:09}.jpg"])
        with Image.open(tmp_path / "one.jpg") as image:
            assert (image.size, image.format) == (size, "JPEG")


def test_npy_holds_what_the_loader_reads(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 3, 2))
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(12) % 2)
    keys = ["data=arrays", f"data.path={tmp_path / 'a.npz'}", "data.validation_split=0"]
    pack = write_pack(tmp_path, *keys, "pack.encode=npy", "pack.order=kept")
    source = compose(keys).data.open().splits["train"]
    found = members(pack / "train-000000.tar")
    for index in range(len(source)):
        (tmp_path / "one.npy").write_bytes(found[f"{index:09}.npy"])
        assert np.array_equal(np.load(tmp_path / "one.npy"), source.read(index))


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        ("keep", r"pack\.encode=keep needs samples that are image files or \.npy files, got data=arrays; pack\.enc"),
        ("jpeg:90:8", r"pack\.encode=jpeg:90:8 needs samples that are image files"),
    ],
)
def test_arrays_can_only_be_packed_as_npy(tmp_path, encode, message):
    np.savez(tmp_path / "a.npz", x=np.zeros((12, 3)), y=np.arange(12) % 2)
    with pytest.raises(Exception, match=message):
        write_pack(tmp_path, "data=arrays", f"data.path={tmp_path / 'a.npz'}", f"pack.encode={encode}")


def test_masks_are_not_packed_as_jpeg(tmp_path):
    root = write_discs(tmp_path / "discs", 4)
    keys = [f"data.root={root / 'images'}", f"data.masks={root / 'masks'}", "data.mask_values={0: ground, 255: disc}"]
    with pytest.raises(Exception, match=r"got image and mask, whose values JPEG would change"):
        write_pack(tmp_path, "data=directory", *keys, "data.class_mode=mask", "pack.encode=jpeg:90:8")
