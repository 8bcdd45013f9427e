"""Images with masks: which mask belongs to which image, what is refused, and every kind of data that has them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from runner import compose
from runner.data.arrays import Arrays
from runner.data.custom import Custom
from runner.data.dataframe import DataFrame
from runner.data.directory import Directory
from runner.data.npy import Npy
from runner.errors import BadSampleError, ConfigurationError, DataError
from tests.support.masks import disc_image, discs, write_discs

VALUES = {0: "ground", 255: "disc"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("discs"), 10)


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "discs")


def directory(root, **keys):
    settings = {"masks": root / "masks", "mask_values": VALUES, "target_size": (12, 10), **keys}
    return Directory(root=root / "images", class_mode="mask", **settings)


def is_right(source, index, number):
    """Whether a sample is the disc of that number."""
    sample = source.read(index).arrays
    image, mask = disc_image(number)
    return np.array_equal(sample["image"], image) and np.array_equal(sample["mask"], mask // 255)


def all_right(dataset):
    """Whether every sample has the image and the mask of the number in its id."""
    return all(
        is_right(source, index, int(name.rpartition("/")[2][:2]))
        for source in dataset.splits.values()
        for index, name in enumerate(source.ids)
    )


def test_masks_are_found_by_the_name_of_images(root):
    (root / "masks" / "a" / "00.png").rename(root / "masks" / "a" / "00.tiff")
    (root / "masks" / ".hidden.png").write_bytes(b"")
    dataset = directory(root, validation_split=0.0).open()
    assert all_right(dataset)
    assert sum(map(len, dataset.splits.values())) == 10
    assert dataset.heads[0].class_names == ("ground", "disc")
    train = dataset.splits["train"]
    places = {name: [place.file for place in train.places(index)] for index, name in enumerate(train.ids)}
    assert places["b/01.png"] == [str(root / "images/b/01.png"), str(root / "masks/b/01.png")]
    assert not dataset.notes


@pytest.mark.parametrize("inside", [False, True])
def test_suffixes_separate_masks_and_images(tmp_path, inside):
    root = write_discs(tmp_path / "d", 6, image_suffix="_sat", mask_suffix="_mask")
    keys = {"masks": root / "masks"}
    if inside:
        for folder in ("a", "b"):
            for mask in (root / "masks" / folder).iterdir():
                mask.rename(root / "images" / folder / mask.name)
        keys = {"masks": None}
    dataset = directory(root, image_suffix="_sat", mask_suffix="_mask", **keys).open()
    assert all_right(dataset)
    assert sum(map(len, dataset.splits.values())) == 6


def test_masks_may_lie_within_the_images_folder(root):
    (root / "masks").rename(root / "images" / "masks")
    dataset = directory(root, masks=root / "images" / "masks").open()
    assert all_right(dataset)
    assert sum(map(len, dataset.splits.values())) == 10


def test_split_folders_have_masks_in_theirs(tmp_path):
    dataset = directory(write_discs(tmp_path / "d", 6, folders=("train", "val"))).open()
    assert all_right(dataset)
    assert {split: len(source) for split, source in dataset.splits.items()} == {"train": 3, "validation": 3}


def test_two_masks_of_one_image_are_refused(root):
    shutil.copy(root / "masks" / "a" / "00.png", root / "masks" / "a" / "00.bmp")
    with pytest.raises(DataError, match=r"one mask for each image, got a/00\.bmp and a/00\.png; remove one"):
        directory(root).open()


def test_missing_mask_is_a_bad_sample_of_its_name(root):
    (root / "masks" / "b" / "01.png").unlink()
    shutil.copy(root / "masks" / "a" / "00.png", root / "masks" / "a" / "77.png")
    dataset = directory(root, validation_split=0.0).open()
    masks = root / "masks"
    assert dataset.notes == (f"1 image without a mask in {masks}", f"1 mask in {masks} without an image: a/77.png")
    source = dataset.splits["train"]
    with pytest.raises(BadSampleError, match=rf"^{masks}/b/01\.png: no such file$"):
        source.read(list(source.ids).index("b/01.png"))
    with pytest.raises(BadSampleError, match=rf"^{masks}/b/01\.png: no such file$"):
        list(dataset.stat())


def test_no_mask_at_all_names_the_first_one(root):
    with pytest.raises(DataError, match=rf"a/00\.png needs {root}/masks/a/00_m\.png, or .*; it has a/00\.png, a/0"):
        directory(root, mask_suffix="_m").open()
    with pytest.raises(DataError, match=rf"images/a/00\.png needs .*; set data\.root={root}/images, whose paths are"):
        Directory(root=root, masks=root / "masks", mask_values=VALUES, class_mode="mask").open()


def test_classes_must_be_named_and_are_shown(root):
    line = r"the first 10 masks hold 0 \(\d+\.\d%\), 255 \(\d+\.\d%\); for example 'data\.mask_values=\{0: background, "
    with pytest.raises(DataError, match=line + r"255: class_1\}'"):
        directory(root, mask_values=None).open()
    for mask in (root / "masks").glob("*/*"):
        Image.open(mask).convert("RGB").point(lambda level: level // 2).save(mask)
    Image.fromarray(np.full((12, 10, 3), (1, 2, 3), np.uint8)).save(root / "masks" / "a" / "00.png")
    colours = r"'data\.mask_colors=\{background: \[0, 0, 0\], class_1: \[1, 2, 3\], class_2: \[127, 127, 127\]\}'"
    with pytest.raises(DataError, match=colours):
        directory(root, mask_values=None).open()


def test_colours_are_classes_in_their_order(root):
    for mask in (root / "masks").glob("*/*"):
        values = np.asarray(Image.open(mask))
        colours = np.zeros((12, 10, 3), np.uint8)
        colours[values == 255] = (9, 8, 7)
        colours[0, 0] = (5, 5, 5)
        Image.fromarray(colours).save(mask)
    keys = {"mask_values": None, "mask_colors": {"disc": (9, 8, 7), "ground": ((0, 0, 0), (1, 1, 1))}}
    dataset = directory(root, ignore_value=(5, 5, 5), **keys).open()
    (head,) = dataset.heads
    assert (head.class_names, head.stored, head.ignored) == (("disc", "ground"), ((9, 8, 7), (0, 0, 0)), 255)
    mask = dataset.splits["train"].read(0).arrays["mask"]
    assert mask[0, 0] == 255
    assert set(np.unique(mask)) == {0, 1, 255}
    with pytest.raises(BadSampleError, match=r"does not list: \[5, 5, 5\] \(1 pixel\)"):
        directory(root, **keys).open().splits["train"].read(0)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"masks": None}, "masks must be the folder of the masks with class_mode=mask, got null"),
        (
            {"masks": Path("r"), "root": Path("r")},
            r"masks must be the folder of the masks .*, got r; for masks next to",
        ),
        ({"classes": ("a", "b")}, "classes must be null with class_mode=mask"),
        ({"ignore_value": 255}, "ignore_value must be a value without a class, got 255, which is disc"),
        ({"ignore_value": (1, 2, 3)}, r"ignore_value must be a number like the classes, got \[1, 2, 3\]"),
        ({"mask_colors": {"a": (1, 2, 3)}}, "mask_values and mask_colors exclude each other"),
        (
            {"mask_values": None, "mask_colors": {"a": (1, 2, 3), "b": (0, 0, 0)}, "ignore_value": 3},
            r"ignore_value must be a colour, such as \[0, 0, 0\], like the classes, got 3",
        ),
        ({"class_mode": "sparse"}, "mask_values and masks have no effect with class_mode=sparse; set class_mode=mask"),
    ],
)
def test_keys_that_do_not_fit_are_refused(root, keys, told):
    settings = {"root": root, "class_mode": "mask", "masks": root / "m", "mask_values": VALUES, **keys}
    with pytest.raises(ValidationError, match=told):
        Directory(**settings)


def test_keys_come_from_yaml_as_they_are_written(root):
    data = compose(discs(root, "data.ignore_value=7", "data.mask_suffix=_m")).data
    assert (data.mask_values, data.ignore_value, data.mask_suffix) == (VALUES, 7, "_m")
    colours = compose(
        [key for key in discs(root, "data.mask_colors={road: [1, 2, 3]}") if "mask_values" not in key]
    ).data
    assert colours.mask_colors == {"road": (1, 2, 3)}
    with pytest.raises(ConfigurationError, match=r"data\.masks must be an existing folder, got .*/nowhere"):
        compose(discs(root, f"data.masks={root}/nowhere"))


def test_one_class_is_refused(root):
    with pytest.raises(DataError, match="masks must have at least 2 classes, got only disc; name the background, too"):
        directory(root, mask_values={0: "disc", 255: "disc"}).open()


def test_model_decides_the_codes(root):
    dataset = directory(root).open()
    (head,) = dataset.heads
    turned = type(head)("", "mask", ("disc", "ground"), field="mask", stored=(255, 0))
    again = directory(root).open_for((turned,))
    assert again.heads == again.splits["train"].labels.heads == (turned,)
    before, after = (found.splits["train"].read(0).arrays["mask"] for found in (dataset, again))
    assert np.array_equal(after, 1 - before)
    with pytest.raises(DataError, match=r"only classes of the model \(disc, ground\), got hole"):
        directory(root, mask_values={0: "ground", 255: "hole"}).open_for((turned,))


def test_table_names_masks(root):
    rows = [f"images/{'ab'[n % 2]}/{n:02}.png,masks/{'ab'[n % 2]}/{n:02}.png,{n}" for n in range(10)]
    (root / "t.csv").write_text("\n".join(["path,mask,weight", *rows]))
    settings = {"manifest": root / "t.csv", "target_size": (12, 10), "class_mode": "mask", "mask_values": VALUES}
    dataset = DataFrame(**settings, mask_column="mask", weight_column="weight").open()
    assert all_right(dataset)
    train = dataset.splits["train"]
    indices = np.array([0, 3])
    weights = train.labels.weights_of(indices)
    assert weights.shape == (2, 1, 1)
    assert [float(weight) for weight in weights.ravel()] == [int(train.ids[index][-6:-4]) for index in indices]
    with pytest.raises(ValidationError, match="mask_column must name the column of the masks with class_mode=mask"):
        DataFrame(**settings)
    (root / "t.csv").write_text("\n".join(["path,mask,weight", *rows, "images/x.png,,1"]))
    with pytest.raises(DataError, match=r"row 11, column 'mask', must hold the path of a mask, got nothing"):
        DataFrame(**settings, mask_column="mask").open()


@pytest.mark.parametrize(
    "change", [lambda mask: mask, lambda mask: mask[..., None].astype(float), lambda mask: mask.astype("i8")]
)
def test_npy_masks_are_files_of_their_own(tmp_path, change):
    for number in range(6):
        image, mask = disc_image(number)
        for kind, array in (("x", image), ("y", change(mask))):
            (tmp_path / kind).mkdir(exist_ok=True)
            np.save(tmp_path / kind / f"{number:02}.npy", array)
    ids = [f"{number:02}" for number in range(6)]
    (tmp_path / "partition.json").write_text(json.dumps({"train": ids[:4], "val": ids[4:]}))
    settings = {"root": tmp_path / "x", "partition": tmp_path / "partition.json", "class_mode": "mask"}
    npy = Npy(**settings, masks=tmp_path / "y", mask_values=VALUES)
    assert all_right(npy.open())
    np.save(tmp_path / "y" / "01.npy", change(np.full((12, 10), 7, np.uint8)))
    with pytest.raises(
        BadSampleError, match=rf"^{tmp_path}/y/01\.npy: its mask holds values .* does not list: 7 \(120"
    ):
        npy.open().splits["train"].read(1)
    np.save(tmp_path / "y" / "00.npy", np.zeros((12, 9), np.uint8))
    with pytest.raises(DataError, match=r"masks in .*/y must have the height and width of the images, .* got 12×9"):
        npy.open()
    with pytest.raises(ValidationError, match="masks must be the folder of the masks"):
        Npy(**settings)


def test_rows_of_y_are_masks(tmp_path):
    pairs = [disc_image(number) for number in range(6)]
    x, y = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    np.savez(tmp_path / "a.npz", x=x, y=y, x_val=x[:2], y_val=y[:2], w=np.arange(6))
    dataset = Arrays(path=tmp_path / "a.npz", class_mode="mask", mask_values=VALUES, weights="w").open()
    assert all(is_right(dataset.splits["train"], number, number) for number in range(6))
    assert dataset.splits["train"].labels.weights_of(np.array([3])).tolist() == [[[3]]]
    with pytest.raises(DataError, match=r"the first 6 masks hold 0 .* 255"):
        Arrays(path=tmp_path / "a.npz", class_mode="mask").open()
    np.savez(tmp_path / "a.npz", x=x, y=y / 2)
    with pytest.raises(BadSampleError, match="train-0: its mask must hold whole numbers, got fractions"):
        Arrays(path=tmp_path / "a.npz", class_mode="mask", mask_values=VALUES).open().splits["train"].read(0)


def test_custom_samples_name_their_mask(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_masks.py").write_text(
        "from tests.support.masks import disc_image\n"
        "class Discs:\n"
        "    name = 'mask'\n"
        "    def __len__(self): return 6\n"
        "    def read(self, index):\n"
        "        image, mask = disc_image(index)\n"
        "        return {'image': image, 'age': index, self.name: mask}\n"
        "class Named(Discs):\n"
        "    name, targets = 'cells', ('cells',)\n"
        "class Plain(Discs):\n"
        "    def read(self, index): return disc_image(index)[0]\n"
    )
    keys = {"class_mode": "mask", "mask_values": VALUES, "validation_split": 0.0}
    dataset = Custom(target="mine_masks.Discs", **keys).open()
    assert all(is_right(dataset.splits["train"], number, number) for number in range(6))
    named = Custom(target="mine_masks.Named", **keys).open()
    assert named.heads[0].field == "cells"
    assert np.array_equal(named.splits["train"].read(2).arrays["cells"], disc_image(2)[1] // 255)
    with pytest.raises(DataError, match=r"Plain\.read must return a dict with the sample and the array mask for data"):
        Custom(target="mine_masks.Plain", **keys).open()
