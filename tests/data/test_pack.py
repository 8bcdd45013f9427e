"""`data=pack`: the samples of the data that was packed, in its order; what does not fit is refused by name."""

import json
import shutil
import tarfile

import numpy as np
import pyarrow.parquet as parquet
import pytest
import xxhash
from PIL import Image

from runner import compose
from runner.data.ids import EncodedIds
from runner.data.place_order import as_stored
from runner.errors import BadSampleError, ConfigurationError, DataError
from runner.fields import arrays_of
from tests.support.masks import disc_image, write_discs
from tests.support.packs import write_pack
from tests.support.photos import write_photos


def of(pack, *keys):
    return compose(["data=pack", f"data.root={pack}", *keys]).data


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Keys of images in three classes and three splits."""
    root = write_photos(tmp_path_factory.mktemp("photos"), ["cat", "dog", "emu"], 20, size=(12, 14))
    return ["data=directory", f"data.root={root}", "data.target_size=[8,7]", "data.test_split=0.2"]


@pytest.fixture(scope="module")
def packed(photos, tmp_path_factory):
    return write_pack(tmp_path_factory.mktemp("pack"), *photos)


@pytest.fixture
def damaged(packed, tmp_path):
    """A copy of the pack, to be damaged."""
    return shutil.copytree(packed, tmp_path / "damaged")


def same_samples(one, other):
    """Whether two sources have the same ids, labels, weights, arrays and digests."""
    assert list(one.ids) == list(other.ids)
    assert one.labels.heads == other.labels.heads
    for mine, theirs in zip(one.labels.columns, other.labels.columns, strict=True):
        assert (mine.dtype, mine.tolist()) == (theirs.dtype, theirs.tolist())
    weights = [None if source.labels.weights is None else source.labels.weights.tolist() for source in (one, other)]
    assert weights[0] == weights[1]
    for index in range(len(one)):
        values = one.read(index), other.read(index)
        for (name, mine), (of_other, theirs) in zip(*map(arrays_of, values), strict=True):
            assert (name, mine.dtype, mine.tolist()) == (of_other, theirs.dtype, theirs.tolist())
        assert one.read_hashed(index, one.spec.empty()) == other.read_hashed(index, other.spec.empty())


def test_pack_has_the_samples_of_its_data(photos, packed):
    files, pack = compose(photos).data.open(), of(packed).open()
    assert list(pack.splits) == list(files.splits) == ["train", "validation", "test"]
    assert (pack.heads, pack.spec) == (files.heads, files.spec)
    for split, source in files.splits.items():
        same_samples(pack.splits[split], source)


def test_other_pixels_are_those_of_the_files(photos, packed):
    keys = ["data.target_size=[5,6]", "data.color_mode=grayscale", "data.decode=exact", "data.interpolation=bicubic"]
    same_samples(of(packed, *keys).open().splits["test"], compose([*photos, *keys]).data.open().splits["test"])


def test_files_in_large_images_have_spans(packed):
    source = of(packed).open().splits["train"]
    spans = source.spans()
    for index in (0, len(source) - 1):
        (place,) = source.places(index)
        assert (spans.files[spans.file[index]], spans.offset[index], spans.size[index]) == place[:3]
    assert sorted(place.member for (place,) in map(source.places, range(len(source))))[0] == "000000000.png"


def dataframe_keys(folder):
    root = write_photos(folder / "photos", ["cat", "dog"], 6)
    rows = [f"{name}/{number:02}.png,{name},{number % 3},{number}" for name in ("cat", "dog") for number in range(6)]
    (folder / "table.csv").write_text("\n".join(["path,animal,size,weight", *rows]))
    modes = "data.class_mode={animal: sparse, size: raw}"
    table = [f"data.manifest={folder / 'table.csv'}", f"data.root={root}", "data.weight_column=weight"]
    return ["data=dataframe", *table, modes, "data.target_size=[4,4]"]


def mask_keys(folder):
    root = write_discs(folder / "discs", 8)
    keys = [f"data.root={root / 'images'}", f"data.masks={root / 'masks'}", "data.mask_values={0: ground, 255: disc}"]
    return ["data=directory", "data.class_mode=mask", "data.ignore_value=7", "data.target_size=[6,6]", *keys]


def npy_keys(folder, *, masks=False):
    names = [f"n{number}" for number in range(10)]
    for kind in ("x", "m"):
        (folder / kind).mkdir(parents=True)
    for number, name in enumerate(names):
        image, mask = disc_image(number)
        np.save(folder / "x" / f"{name}.npy", image.astype(np.float32))
        np.save(folder / "m" / f"{name}.npy", mask)
    (folder / "partition.json").write_text(json.dumps({"train": names[:7], "test": names[7:]}))
    (folder / "labels.json").write_text(json.dumps({name: number % 2 for number, name in enumerate(names)}))
    keys = ["data=npy", f"data.root={folder / 'x'}", f"data.partition={folder / 'partition.json'}"]
    if masks:
        values = [f"data.masks={folder / 'm'}", "data.mask_values={0: ground, 255: disc}"]
        return [*keys, "data.class_mode=mask", "data.validation_split=0", *values]
    return [*keys, f"data.labels={folder / 'labels.json'}", "data.validation_split=0"]


def tar_keys(folder):
    root = write_photos(folder / "photos", ["cat", "dog"], 6)
    with tarfile.open(folder / "a.tar", "w") as tar:
        for number, file in enumerate(sorted(root.rglob("*.png"))):
            (folder / "label.cls").write_text(str(number % 2))
            tar.add(file, f"{number}.png")
            tar.add(folder / "label.cls", f"{number}.cls")
    return ["data=tar", f"data.shards={folder / 'a.tar'}", "data.target_size=[4,4]"]


def target_keys(folder):
    return [*npy_keys(folder), "data.class_mode=raw", f"data.targets={folder / 'm'}"]


KINDS = {
    "dataframe": dataframe_keys,
    "masks": mask_keys,
    "npy": npy_keys,
    "npy masks": lambda folder: npy_keys(folder, masks=True),
    "npy targets": target_keys,
    "tar": tar_keys,
    "digits": lambda folder: ["data=digits", f"data.root={folder / 'digits'}", "data.limit=20"],
    "reconstruction": lambda folder: [*mask_keys(folder)[:1], f"data.root={folder / 'discs'}", "data.class_mode=input"],
}


@pytest.mark.parametrize("encode", ["keep", "npy"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_can_be_packed(kind, encode, tmp_path, digits_root):
    (tmp_path / "digits").symlink_to(digits_root)
    keys = KINDS[kind](tmp_path)
    pack = write_pack(tmp_path, *keys, f"pack.encode={encode}")
    files, opened = compose(keys).data.open(), of(pack).open()
    assert (opened.heads, opened.spec, list(opened.splits)) == (files.heads, files.spec, list(files.splits))
    for split, source in files.splits.items():
        if encode == "keep":
            same_samples(opened.splits[split], source)
        else:
            for index in range(len(source)):
                pairs = zip(arrays_of(opened.splits[split].read(index)), arrays_of(source.read(index)), strict=True)
                assert all(np.array_equal(mine, theirs) for (_, mine), (_, theirs) in pairs)
    pack_again = write_pack(tmp_path, "data=pack", f"data.root={pack}", f"pack.encode={encode}", to="again")
    again = of(pack_again).open().splits["train"]
    assert list(again.ids) == list(opened.splits["train"].ids)
    pairs = zip(arrays_of(again.read(0)), arrays_of(opened.splits["train"].read(0)), strict=True)
    assert all(np.array_equal(mine, theirs) for (_, mine), (_, theirs) in pairs)


@pytest.mark.parametrize("encode", ["keep", "npy"])
@pytest.mark.parametrize("kind", ["masks", "npy masks"])
def test_masks_get_the_codes_of_a_model(kind, encode, tmp_path):
    keys = KINDS[kind](tmp_path)
    pack = write_pack(tmp_path, *keys, f"pack.encode={encode}")
    (head,) = of(pack).open().heads
    turned = head.__class__(
        **{**{name: getattr(head, name) for name in head.__slots__}, "class_names": ("disc", "ground")}
    )
    one = compose(keys).data.open_for((turned,)).splits["train"].read(0)
    other = of(pack).open_for((turned,)).splits["train"].read(0)
    assert np.array_equal(one.arrays["mask"], other.arrays["mask"])
    assert not np.array_equal(other.arrays["mask"], of(pack).open().splits["train"].read(0).arrays["mask"])


def test_classes_may_be_fewer_and_ordered(packed):
    opened = of(packed, "data.classes=[emu,cat]", "data.class_mode=sparse").open()
    source = opened.splits["train"]
    assert (opened.heads[0].mode, opened.heads[0].class_names) == ("sparse", ("emu", "cat"))
    assert [("emu", "cat")[code] for code in source.labels.columns[0]] == [name[:3] for name in source.ids]
    assert len(source) < len(of(packed).open().splits["train"])


def test_labels_may_be_left_out(packed, tmp_path):
    assert of(packed, "data.class_mode=null").open().heads == ()
    assert of(packed, "data.class_mode=input").open().heads[0].mode == "input"
    masks = write_pack(tmp_path, *mask_keys(tmp_path))
    opened = of(masks, "data.class_mode=null").open()
    assert (opened.heads, opened.spec.shape) == ((), (6, 6, 3))


def test_missing_split_is_held_out(photos, tmp_path):
    pack = write_pack(tmp_path, *photos, "data.test_split=0", "data.validation_split=0")
    assert list(of(pack).open().splits) == ["train"]
    held_out = of(pack, "data.validation_split=0.2").open().splits["validation"]
    files = compose([*photos, "data.test_split=0", "data.validation_split=0.2"]).data.open()
    same_samples(held_out, files.splits["validation"])


def test_limit_selects_the_same_samples(photos, packed):
    files = compose([*photos, "data.limit=5"]).data.open().splits["train"]
    same_samples(of(packed, "data.limit=5").open().splits["train"], files)


def test_deep_images_stay_floats(tmp_path):
    root = tmp_path / "deep"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.full((6, 6), 1000 * number, np.uint16)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    keys = ["data=directory", f"data.root={root}", "data.color_mode=grayscale", "data.target_size=[6,6]"]
    pack = write_pack(tmp_path, *keys)
    same_samples(of(pack).open().splits["train"], compose(keys).data.open().splits["train"])
    assert of(pack).open().spec.dtype == np.float32
    assert of(pack, "data.color_mode=rgb").open().spec.dtype == np.uint8


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            ["data.classes=[cat,dgo]"],
            r"data\.classes must name classes of the pack \(cat, dog, emu\), got dgo; did you",
        ),
        (["data.antialias=false", "data.decode=exact"], r"data: antialias=false must go with decode=fast"),
    ],
)
def test_keys_that_do_not_fit_are_refused(packed, keys, message):
    with pytest.raises(DataError, match=message):
        of(packed, *keys).open()


def test_pixels_of_arrays_cannot_be_set(tmp_path):
    pack = write_pack(tmp_path, *npy_keys(tmp_path))
    with pytest.raises(DataError, match=r"data\.target_size must be null for a pack of arrays"):
        of(pack, "data.target_size=[4,4]").open()


def test_class_mode_of_numbers_is_refused(tmp_path):
    pack = write_pack(tmp_path, *dataframe_keys(tmp_path))
    with pytest.raises(DataError, match=r"data\.class_mode=sparse needs a pack with one class for each sample, got sp"):
        of(pack, "data.class_mode=sparse").open()


def test_missing_and_cut_shards_are_named(damaged):
    with (damaged / "train-000000.tar").open("r+b") as file:
        file.truncate(5000)
    (damaged / "test-000000.tar").unlink()
    with pytest.raises(
        DataError,
        match=r"is not whole: train-000000\.tar has 5,000 bytes of [\d,]+, test-000000\.tar: no such file; copy them",
    ):
        of(damaged).open()


def test_other_version_is_refused(damaged):
    document = json.loads((damaged / "pack.json").read_text())
    (damaged / "pack.json").write_text(json.dumps({"version": 2}))
    with pytest.raises(DataError, match=r"pack\.json must be of version 1, got version 2; read it with the version of"):
        of(damaged).open()
    del document["shards"]
    (damaged / "pack.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"pack\.json is damaged: shards: field required"):
        of(damaged).open()


def test_folder_that_is_no_whole_pack_is_named(damaged, tmp_path):
    (damaged / "pack.json").rename(damaged / ".pack.json")
    with pytest.raises(DataError, match="is not whole; start the command again that wrote it: it continues"):
        of(damaged).open()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no pack\.json, so it is no pack; mode=pack writes one"):
        of(tmp_path / "empty").open()
    with pytest.raises(ConfigurationError, match=r"data\.root"):
        of(tmp_path / "nowhere")


def test_index_of_another_pack_is_refused(damaged):
    table = parquet.read_table(damaged / "index.parquet")
    parquet.write_table(table.slice(1), damaged / "index.parquet")
    with pytest.raises(DataError, match=r"index\.parquet does not fit its shards: it has 59 rows of 60; copy it once"):
        of(damaged).open()
    moved = table.set_column(table.column_names.index("offset"), "offset", [[10**7] * len(table)])
    parquet.write_table(moved, damaged / "index.parquet")
    with pytest.raises(DataError, match=r"index\.parquet does not fit the shards of train: members lie outside of"):
        of(damaged).open()
    (damaged / "index.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"index\.parquet cannot be read: "):
        of(damaged).open()


def test_damaged_member_is_named(damaged):
    source = of(damaged).open().splits["train"]
    (place,) = source.places(4)
    with open(place.file, "r+b") as file:
        file.seek(place.offset)
        file.write(b"no image")
    with pytest.raises(BadSampleError, match=rf"train-000000\.tar: {place.member}: cannot identify image file"):
        source.read(4)


@pytest.mark.parametrize("names", [["a", "bc", ""], ["é", "a", "日本", ""], ["caf\udce9", "é", "x"], []])
def test_ids_come_from_bytes(names):
    parts = [name.encode("utf-8", "surrogateescape") for name in names]
    edges = np.cumsum([0, *map(len, parts)])
    ids = EncodedIds(np.frombuffer(b"".join(parts), np.uint8), edges[:-1], edges[1:])
    assert list(ids) == names and ids == names and len(ids) == len(names)
    assert [ids[index] for index in range(len(ids))] == names
    assert ids[1:] == names[1:]
    assert ids.select(np.arange(len(ids))[::-1]) == names[::-1]


def test_smaller_jpegs_can_be_read_at_any_size(photos, tmp_path):
    pack = write_pack(tmp_path, *photos, "pack.encode=jpeg:95:10")
    opened = of(pack, "data.target_size=[5,4]").open()
    assert opened.spec.shape == (5, 4, 3)
    files = compose([*photos, "data.target_size=[5,4]"]).data.open()
    for split, source in opened.splits.items():
        assert (list(source.ids), source.labels.heads) == (list(files.splits[split].ids), files.heads)
        assert source.labels.columns[0].tolist() == files.splits[split].labels.columns[0].tolist()
        pixels = source.read(0).astype(int), files.splits[split].read(0).astype(int)
        assert abs(pixels[0] - pixels[1]).mean() < 25  # noise, which JPEG blurs


def test_span_covers_image_and_mask(tmp_path):
    source = of(write_pack(tmp_path, *mask_keys(tmp_path))).open().splits["train"]
    spans = source.spans()
    for index in range(len(source)):
        image, mask = source.places(index)
        assert (image.file, image.offset) == (spans.files[spans.file[index]], spans.offset[index])
        assert mask.offset + mask.size == spans.offset[index] + spans.size[index]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A pack with weights, several splits and an odd id, whose columns are kept as arrays; opened once."""
    keys = dataframe_keys(tmp_path)
    table = tmp_path / "table.csv"
    table.write_text(table.read_text().replace("cat/05.png", "cat/é5.png"))
    (tmp_path / "photos" / "cat" / "05.png").rename(tmp_path / "photos" / "cat" / "é5.png")
    pack = write_pack(tmp_path, *keys, "data.validation_split=0.3")
    monkeypatch.setattr("runner.data.pack_index.KEPT_FROM", 0)
    return pack, of(pack).open().splits


def no_parquet(*arguments):
    pytest.fail("read Parquet")


def test_kept_columns_hold_what_the_index_holds(kept, monkeypatch):
    pack, first = kept
    monkeypatch.setattr("runner.data.pack_index.ParquetColumns", no_parquet)
    again = of(pack).open().splits
    assert list(again) == list(first) == ["train", "validation"]
    for split, source in first.items():
        same_samples(again[split], source)
        assert [again[split].places(index) for index in range(len(source))] == list(
            map(source.places, range(len(source)))
        )


@pytest.mark.parametrize("make_keys", [dataframe_keys, mask_keys])
def test_kept_order_is_that_of_the_shards(tmp_path, monkeypatch, make_keys):
    pack = of(write_pack(tmp_path, *make_keys(tmp_path), "data.validation_split=0.3"))
    monkeypatch.setattr("runner.data.pack_index.KEPT_FROM", 0)
    first, again = (pack.open().splits for _ in range(2))
    for split, source in again.items():
        kept, spans = source.spans(), first[split].spans()
        assert kept.stored is not None and spans.stored is None
        assert [part.tolist() for part in kept.stored] == [part.tolist() for part in as_stored(spans)]


def test_positions_that_repeat_are_refused(tmp_path, monkeypatch, photos):
    pack = write_pack(tmp_path, *photos)
    table = parquet.read_table(pack / "index.parquet")
    number = table.column_names.index("position")
    repeated = np.zeros(len(table), table["position"].to_numpy().dtype)
    parquet.write_table(table.set_column(number, table.schema.field(number), [repeated]), pack / "index.parquet")
    monkeypatch.setattr("runner.data.pack_index.KEPT_FROM", 0)
    with pytest.raises(DataError, match=r"index\.parquet does not fit its shards: positions of members are not unique"):
        of(pack).open()


@pytest.mark.parametrize(
    "damage", ["offset.npy", "stored-row.npy", "train.ids.npy", "train.edges.npy", "state.json", "suffix.npy"]
)
def test_damaged_columns_are_made_again(kept, damage):
    pack, first = kept
    file = pack / ".columns" / damage
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    same_samples(of(pack).open().splits["train"], first["train"])
    assert len(file.read_bytes()) == len(whole)


def test_columns_of_another_index_are_not_used(kept):
    pack, _ = kept
    table = parquet.read_table(pack / "index.parquet")
    moved = table.set_column(table.column_names.index("offset"), "offset", [[10**7] * len(table)])
    parquet.write_table(moved, pack / "index.parquet")
    with pytest.raises(DataError, match="members lie outside of"):
        of(pack).open()


def test_pack_that_one_may_not_write_to_is_read(kept, monkeypatch):
    pack, first = kept
    shutil.rmtree(pack / ".columns")
    monkeypatch.setattr("runner.data.kept_columns.np.save", lambda *_: exec("raise PermissionError"))
    same_samples(of(pack).open().splits["train"], first["train"])
    assert not [file.name for file in pack.iterdir() if "columns" in file.name]


@pytest.mark.parametrize("kind", ["photos", "masks"])
def test_recorded_digests_are_those_of_members(kind, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("runner.packs.settings.MIB", 8192)  # for several shards
    keys = photos if kind == "photos" else mask_keys(tmp_path)
    data = of(write_pack(tmp_path, *keys, "pack.shard_mb=1"), "data.limit=7")
    recorded, splits = data.recorded_digests(), data.open().splits
    places = [place for source in splits.values() for index in range(len(source)) for place in source.places(index)]
    assert len({place.file for place in places}) > len(splits)
    for place in places:
        assert recorded(place) == xxhash.xxh3_128_digest(place.read())
        assert recorded(place._replace(offset=place.offset + 1)) is None
    assert compose(keys).data.recorded_digests()(places[0]) is None
