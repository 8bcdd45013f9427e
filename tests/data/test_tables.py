"""data=dataframe: tables of their own for validation and test, and the choice and order of classes."""

import pytest
from pydantic import ValidationError

from runner import compose
from runner.data.dataframe import DataFrame
from runner.errors import ConfigurationError, DataError
from tests.support.photos import write_photos


@pytest.fixture
def table(tmp_path):
    """Writes a table of (label, image) rows; the images are there."""
    write_photos(tmp_path, ["a"], 20)

    def write(name, labels, first=0, header="path,label"):
        rows = [f"a/{number:02}.png,{label}" for number, label in enumerate(labels, first)]
        (tmp_path / name).write_text("\n".join([header, *rows]))
        return tmp_path / name

    return write


def opened(manifest, **keys):
    return DataFrame(manifest=manifest, target_size=(4, 4), **keys).open()


def texts(dataset):
    return {split: source.labels.texts() for split, source in dataset.splits.items()}


def test_tables_of_splits_are_taken_whole(table):
    files = {f"{split}_manifest": table(f"{split}.csv", ["dog", "cat"], first) for split, first in
             (("validation", 6), ("test", 8))}  # fmt: skip
    dataset = opened(table("train.csv", ["cat", "dog"] * 3), **files, validation_split=0.5, test_split=0.3)
    assert texts(dataset) == {"train": ["cat", "dog"] * 3, "validation": ["dog", "cat"], "test": ["dog", "cat"]}
    assert list(dataset.splits["test"].ids) == ["a/08.png", "a/09.png"]
    assert [file.name for file in dataset.files] == ["train.csv", "validation.csv", "test.csv"]
    assert dataset.notes == ()


def test_test_table_leaves_validation_to_a_share(table):
    dataset = opened(table("train.csv", ["cat", "dog"] * 5), test_manifest=table("t.csv", ["cat"], 10))
    assert {split: len(source) for split, source in dataset.splits.items()} == {"train": 8, "validation": 2, "test": 1}


def test_cells_are_named_by_table_and_row(table):
    train, test = table("train.csv", ["cat", "dog"]), table("test.csv", ["cat", "owl", "owl"], 2)
    with pytest.raises(DataError, match=r"test\.csv: row 2, column 'label', must hold a class of the training rows"):
        opened(train, test_manifest=test)
    table("test.csv", ["cat", ""], 2)
    with pytest.raises(DataError, match=r"test\.csv: row 2, column 'label', must hold a class, got nothing$"):
        opened(train, test_manifest=test)


def test_image_in_two_tables_is_refused(table):
    train, test = table("train.csv", ["cat", "dog"]), table("test.csv", ["cat"], 1)
    with pytest.raises(DataError, match=r"must list each image once, got 1 in several rows: a/01\.png"):
        opened(train, test_manifest=test)


def test_split_column_and_table_must_agree(table):
    train = table("train.csv", ["cat,train", "dog,test", "dog,train"], header="path,label,split")
    with pytest.raises(DataError, match=r"train\.csv has test rows already; leave data\.test_manifest=.*t\.csv out"):
        opened(train, split_column="split", test_manifest=table("t.csv", ["cat"], 9))
    dataset = opened(train, split_column="split", validation_manifest=table("v.csv", ["cat"], 9))
    assert texts(dataset) == {"train": ["cat", "dog"], "validation": ["cat"], "test": ["dog"]}


def test_tables_share_the_folder_of_paths(table, tmp_path):
    train = table("train.csv", ["cat", "dog"])
    (tmp_path / "b").mkdir()
    table("b/test.csv", ["cat"], 5)
    with pytest.raises(ValidationError, match=r"test_manifest must be in the folder of manifest, .*; or set root"):
        opened(train, test_manifest=tmp_path / "b/test.csv")
    assert opened(train, test_manifest=tmp_path / "b/test.csv", root=tmp_path).splits["test"].ids == ["a/05.png"]


def test_tables_that_are_missing_are_named(table, tmp_path):
    train = table("train.csv", ["cat", "dog"])
    with pytest.raises(ConfigurationError, match=r"data\.test_manifest must be an existing file"):
        compose(["data=dataframe", f"data.manifest={train}", f"data.test_manifest={tmp_path / 'no.csv'}"])
    with pytest.raises(ValidationError, match=r"validation_manifest must end in \.csv, .* or \.parquet"):
        opened(train, validation_manifest=tmp_path / "x.xlsx")


def test_classes_choose_and_order(table):
    train = table("train.csv", ["cat", "owl", "dog", "cat", "emu"])
    dataset = opened(
        train, classes=("dog", "cat"), validation_split=0.0, test_manifest=table("t.csv", ["owl", "dog"], 9)
    )
    assert dataset.heads[0].class_names == ("dog", "cat")
    assert texts(dataset) == {"train": ["cat", "dog", "cat"], "test": ["dog"]}
    assert dataset.splits["train"].labels.columns[0].tolist() == [1, 0, 1]
    assert dataset.splits["test"].ids == ["a/10.png"]
    assert dataset.notes == ("3 rows of other classes left out: emu, owl",)


def test_rows_keep_their_numbers_with_classes(table):
    train = table("train.csv", ["owl", "cat", "dog", ""])
    with pytest.raises(DataError, match=r"train\.csv: row 4, column 'label', must hold a class, got nothing$"):
        opened(train, classes=("dog", "cat"))


def test_unknown_class_is_named(table):
    with pytest.raises(
        DataError, match=r"of column 'label' of .*train\.csv \(cat, dog\), got dgo; did you mean 'dog'\?"
    ):
        opened(table("train.csv", ["cat", "dog"]), classes=("cat", "dgo"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"class_mode": "raw"}, "classes must be null unless class_mode is categorical or sparse or binary"),
        ({"label_columns": ("label", "size")}, "for one column; got"),
        ({"classes": ("a", "a")}, "classes must name each class once"),
    ],
)
def test_classes_need_one_column_of_classes(table, keys, message):
    with pytest.raises(ValidationError, match=message):
        opened(table("train.csv", ["cat", "dog"]), **{"classes": ("cat", "dog"), **keys})


def test_default_order_is_that_of_folders(table):
    dataset = opened(table("train.csv", ["10", "9", "2", "10"]), validation_split=0.0)
    assert dataset.heads[0].class_names == ("2", "9", "10")
