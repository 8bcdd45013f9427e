"""data=directory: which folders are splits, which are classes, and what is ambiguous."""

import pytest

from runner.data.directory import Directory
from runner.errors import DataError
from tests.support.photos import write_photos


@pytest.fixture
def make(tmp_path):
    """Writes two images into each folder; gives the data component."""

    def write(*folders, **keys):
        write_photos(tmp_path, folders, 2)
        return Directory(root=tmp_path, target_size=(4, 4), **{"validation_split": 0.0, **keys})

    return write


def layout(*splits):
    return [f"{split}/{name}" for split in splits for name in ("cat", "dog")]


@pytest.mark.parametrize(
    "names",
    [("train", "valid", "test"), ("Train", "Val", "Test"), ("training", "dev", "testing"), ("TRAIN", "Valid", "TEST")],
    ids="/".join,
)
def test_usual_names_of_folders_are_splits(make, names):
    dataset = make(*layout(*names)).open()
    assert dataset.heads[0].class_names == ("cat", "dog")
    assert [source.ids[0] for source in dataset.splits.values()] == [f"{name}/cat/00.png" for name in names]


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (layout("train", "val", "masks"), "must hold only folders of splits next to train/, got masks; move it"),
        (layout("train", "holdout"), "next to train/, got holdout; move it elsewhere, set data.root="),
        (["train", "test", "masks"], "next to train/, got masks"),
        (layout("val", "test"), "must hold a train/ folder next to test and val, got test, val; rename"),
        (
            layout("train", "val", "Valid"),
            "must hold one folder to validate on, got Valid and val; rename",
        ),
        (layout("train2017", "val2017"), "got train2017, val2017; rename train2017 to train and val2017 to validation"),
        (layout("training_set", "test_set"), "rename test_set to test and training_set to train"),
        (layout("seg_train", "seg_test", "other"), "must name its split folders train, validation and test, got"),
        (["cat/train", "cat/test", "dog/train"], "cat must hold the images of one class, got the folders test, train"),
    ],
)
def test_ambiguous_split_folders_are_refused(make, folders, message):
    with pytest.raises(DataError, match=message):
        make(*folders).open()


@pytest.mark.parametrize("mode", ["input", None])
def test_unknown_folder_is_refused_without_classes(make, mode):
    with pytest.raises(DataError, match="next to train/, got masks"):
        make("train", "test", "masks", class_mode=mode).open()


def test_folder_without_images_is_named(make, tmp_path):
    data = make(*layout("train", "val"))
    (tmp_path / "__MACOSX" / "train").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "train" / "._00.png").touch()
    dataset = data.open()
    assert list(dataset.splits) == ["train", "validation"]
    assert dataset.notes == (f"{tmp_path} holds other folders without images, which are left out: __MACOSX",)


def test_class_that_is_called_train_is_named(make, tmp_path):
    dataset = make("bus", "car", "train").open()
    assert dataset.heads[0].class_names == ("bus", "car", "train")
    assert dataset.notes == (f"{tmp_path / 'train'} is taken for a class: it holds images",)


def test_chosen_classes_may_be_called_like_splits(make):
    dataset = make("train", "test", "car", classes=("train", "test")).open()
    assert dataset.heads[0].class_names == ("train", "test")


def test_root_of_a_split_that_exists_is_named(make, tmp_path):
    other = write_photos(tmp_path.parent / f"{tmp_path.name}-other", ["cat", "dog"], 1)
    dataset = make(*layout("train", "val"), validation_root=other).open()
    assert dataset.notes == (f"data.validation_root={other} is not read: {tmp_path / 'val'} is the validation split",)
