import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runner
from runner import compose
from runner.data import tar_index
from runner.errors import BadSampleError, ConfigurationError, DataError
from tests.support.masks import write_discs

CLASSES = ("cat", "dog", "owl")


def png(number):
    file = io.BytesIO()
    Image.fromarray(np.full((6, 8, 3), number * 4, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(file, members, mode="w"):
    """A tar file with these members, in their order: pairs of name and content."""
    with tarfile.open(file, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else str(content).encode()
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def pairs(numbers, label="cls", *, folder=""):
    """Members of samples with these numbers: an image and a class number each."""
    for number in numbers:
        yield f"{folder}{number:04}.png", png(number)
        yield f"{folder}{number:04}.{label}", number % 3


@pytest.fixture
def shards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write(f"train-{number}.tar", pairs(range(number * 4, number * 4 + 4)))
    return tmp_path


def tar(*overrides, shards="train-*.tar"):
    return compose(
        ["data=tar", f'data.shards="{shards}"', "data.target_size=[6,8]", "data.validation_split=0", *overrides]
    )


def opened(*overrides, **keys):
    return tar(*overrides, **keys).data.open()


def numbers_of(source):
    return [int(source.read(index)[0, 0, 0]) // 4 for index in range(len(source))]


@pytest.mark.parametrize(
    "pattern", ["train-*.tar", "train-{0..2}.tar", "train-{0,1,2}.tar", "[train-0.tar,train-1.tar,train-2.tar]"]
)
def test_patterns_list_shards_in_order(shards, pattern):
    overrides = [f"data.shards={pattern}"] if pattern.startswith("[") else [f'data.shards="{pattern}"']
    train = opened(*overrides).splits["train"]
    assert list(train.ids) == [f"{number:04}" for number in range(12)]
    assert numbers_of(train) == list(range(12))
    assert train.labels.texts() == [str(number % 3) for number in range(12)]
    assert train.sample_name(5) == "train-1.tar: 0005"
    assert train.spans().file.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_members_are_read_in_any_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    long = "d/" * 80 + "é" * 40
    members = [
        ("./a/b.c/first.IMG.PNG", png(1)),
        ("./a/b.c/first.seg.cls", 0),
        (f"{long}.img.png", png(2)),
        (f"{long}.seg.cls", 1),
        (".hidden.png", png(3)),
        ("no_suffix", b""),
    ]
    write("a.tar", members)
    dataset = opened("data.label=seg.cls", shards="a.tar")
    assert list(dataset.splits["train"].ids) == ["./a/b.c/first", long]
    assert numbers_of(dataset.splits["train"]) == [1, 2]
    assert dataset.notes[0] == "2 members of the train shards without a suffix, or hidden, are left out"


def test_label_may_be_text_or_json(shards):
    members = []
    for number, name in enumerate(CLASSES):
        described = json.dumps({"label": name, "of": {"it": name}, "a.b": name})
        members += [(f"{number}.png", png(number)), (f"{number}.json", described), (f"{number}.txt", f" {name}\n")]
    write("j.tar", members)
    names = list(CLASSES)
    assert opened("data.label=txt", shards="j.tar").splits["train"].labels.texts() == names
    for key in ("label", "of.it", "a.b"):
        keys = ["data.label=json", f"data.label_key={key}"]
        assert opened(*keys, shards="j.tar").splits["train"].labels.texts() == names
    with pytest.raises(
        DataError, match=r"must have one label, a member cls, txt or json, got txt, json; name its suffix"
    ):
        opened(shards="j.tar")
    with pytest.raises(
        DataError, match=r"j\.tar: 0\.json holds label, of, a\.b; name the label among them with data\.label_key"
    ):
        opened("data.label=json", shards="j.tar")
    with pytest.raises(DataError, match=r"must have data\.label_key=labl, got label, of, a\.b; did you mean 'label'"):
        opened("data.label=json", "data.label_key=labl", shards="j.tar")


def test_class_numbers_may_have_names(shards):
    dataset = opened("data.classes=[cat,dog,owl]")
    assert dataset.heads[0].class_names == CLASSES
    assert dataset.splits["train"].labels.texts() == [CLASSES[number % 3] for number in range(12)]
    with pytest.raises(DataError, match=r"must have only the classes cat, dog, got '2' of 0002.*data\.classes"):
        opened("data.classes=[cat,dog]")


def test_splits_have_shards_of_their_own(shards):
    write("val.tar", pairs([50, 51]))
    config = tar("data.validation_shards=val.tar", "data.test_split=0.3")
    splits = config.data.open().splits
    assert {split: len(source) for split, source in splits.items()} == {"train": 9, "validation": 2, "test": 3}
    with runner.build_loader(config, "validation") as loader:
        (batch,) = loader.epoch(0)
    assert batch.y.tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([*pairs([1, 2]), ("0001.txt", "x")], r"a\.tar: the members of sample 0001 must be neighbours"),
        ([("1.png", png(1)), ("1.PNG", png(2))], r"a\.tar: sample 1 must have each suffix once, got two members png"),
        ([*pairs([1]), ("2.cls", 1)], r"a\.tar: sample 2 must have one image, a member png, got none"),
        ([("1.a.png", png(1)), ("1.b.png", png(1)), ("1.cls", 1)], r"got 2; name one suffix with data\.image"),
        ([*pairs([1]), ("2.png", png(1))], r"each sample must have a label, a member cls, got none for 2"),
        ([("1.png", png(1)), ("1.cls", "")], r"a\.tar: 1\.cls must hold a label, got an empty"),
        ([("1.flac", b"x"), ("1.cls", 0)], r"a\.tar must hold images, got members flac, cls; name their suffix"),
        ([("readme", b"x")], r"a\.tar must hold samples, members such as 12\.jpg and 12\.cls, got none"),
    ],
)
def test_samples_that_are_no_samples_are_refused(tmp_path, monkeypatch, members, reason):
    monkeypatch.chdir(tmp_path)
    write("a.tar", members)
    with pytest.raises(DataError, match=reason):
        opened(shards="a.tar")


def test_files_that_are_no_tar_files_are_refused(shards):
    write("a.tar.gz", pairs([1]), "w:gz")
    whole = Path("train-0.tar").read_bytes()
    Path("text.tar").write_text("hello" * 500)
    for size in (len(whole) // 2, 1400, 700):
        Path(f"cut-{size}.tar").write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"cut-{size}\.tar must be a tar file that is whole, got: (une|its end)"):
            opened(shards=f"cut-{size}.tar")
    with pytest.raises(DataError, match=r"a\.tar\.gz must be a tar file .*; unpack it: samples in a compressed file"):
        opened(shards="a.tar.gz")
    with pytest.raises(DataError, match=r"text\.tar must be a tar file that is whole"):
        opened(shards="text.tar")
    with pytest.raises(DataError, match=r"data\.shards must name tar files, got none-\*\.tar, which fits none"):
        opened(shards="none-*.tar")


def test_keys_are_unique_over_all_files(shards):
    write("train-9.tar", pairs([2, 40]))
    with pytest.raises(DataError, match=r"got 0002 more than once; 0002 is in train-0\.tar, train-9\.tar"):
        opened()
    write("val.tar", pairs([5]))
    Path("train-9.tar").unlink()
    with pytest.raises(DataError, match=r"got 0005 more than once; 0005 is in train-1\.tar, val\.tar"):
        opened("data.validation_shards=val.tar")


def test_index_is_kept_until_the_file_changes(shards, monkeypatch):
    scanned, scan = [], tar_index._scan
    monkeypatch.setattr(tar_index, "_scan", lambda file: scanned.append(file.name) or scan(file))
    first = opened()
    assert len(scanned) == 3
    again = opened()
    assert len(scanned) == 3
    assert list(again.splits["train"].ids) == list(first.splits["train"].ids)
    assert again.splits["train"].labels.texts() == first.splits["train"].labels.texts()
    (kept, *_) = sorted(Path("outputs/cache").rglob("*.npz"))
    kept.write_bytes(kept.read_bytes()[:100])
    assert numbers_of(opened().splits["train"]) == list(range(12))
    write("train-1.tar", pairs([60]))
    assert numbers_of(opened().splits["train"]) == [0, 1, 2, 3, 60, 8, 9, 10, 11]
    assert scanned[3:] in (["train-1.tar"] * 1, [scanned[3], "train-1.tar"])
    before = len(scanned)
    opened("data.index_dir=null")
    assert len(scanned) == before + 3


def test_folder_of_indices_must_be_writable(shards):
    Path("file").touch()
    with pytest.raises(
        DataError, match=r"data\.index_dir must be a folder that can be written: .*; set another folder"
    ):
        opened("data.index_dir=file")


def test_masks_lie_in_the_same_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_discs(tmp_path / "d", 4, folders=("a",))
    members = []
    for number in range(4):
        members.append((f"{number}.jpg.png", (root / "images" / "a" / f"{number:02}.png").read_bytes()))
        members.append((f"{number}.mask.png", (root / "masks" / "a" / f"{number:02}.png").read_bytes()))
    write("m.tar", members)
    keys = ["data.class_mode=mask", "data.mask=mask.png", "data.mask_values={0: ground, 255: disc}"]
    (mixed,) = opened(*keys, "data.target_size=[12,10]", shards="m.tar").splits.values()
    files = compose(["data=directory", f"data.root={root}/images", f"data.masks={root}/masks", *keys[::2],
                     "data.target_size=[12,10]", "data.validation_split=0"]).data.open().splits["train"]  # fmt: skip
    for index in range(4):
        one, other = mixed.read(index), files.read(index)
        assert np.array_equal(one.arrays["image"], other.arrays["image"])
        assert np.array_equal(one.arrays["mask"], other.arrays["mask"])
    spans = mixed.spans()
    assert all(size > 1000 for size in spans.size.tolist())
    with pytest.raises(
        ConfigurationError, match="mask must be the suffix of the masks, such as mask.png, with class_mode=mask"
    ):
        tar("data.class_mode=mask", keys[2])
    with pytest.raises(
        DataError, match=r"data\.mask_values must name the class of each value in the masks; .* hold 0 .* 255"
    ):
        opened(*keys[:2], shards="m.tar")


def test_damaged_member_is_named(shards):
    data = bytearray(Path("train-1.tar").read_bytes())
    place = opened().splits["train"].places(5)[0]
    data[place.offset : place.offset + 8] = b"damaged!"
    Path("train-1.tar").write_bytes(data)
    os.utime("train-1.tar")
    with pytest.raises(BadSampleError, match=r"train-1\.tar: 0005: cannot identify image"):
        opened().splits["train"].read(5)
