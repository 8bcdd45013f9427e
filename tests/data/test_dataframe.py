"""`data=dataframe`: what a table of images may say."""

import csv
import unicodedata

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from runner.data.dataframe import DataFrame
from runner.data.labels import Head
from runner.data.manifest import read_manifest
from runner.data.table import TargetReader
from runner.errors import DataError

IMAGES = [f"i/{number}.png" for number in range(4)]


@pytest.fixture
def make(tmp_path):
    """Writes four images and a table of columns as CSV; gives the data component over it."""
    (tmp_path / "i").mkdir()
    for number, name in enumerate(IMAGES):
        Image.new("L", (4, 4), 40 * number).save(tmp_path / name)

    def write(columns, **keys):
        columns = {"path": IMAGES[: len(next(iter(columns.values()), IMAGES))], **columns}
        with (tmp_path / "m.csv").open("w", newline="") as file:
            csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
        return component(tmp_path / "m.csv", **keys)

    return write


def component(manifest, **keys):
    return DataFrame(manifest=manifest, **{"target_size": (4, 4), "validation_split": 0.0, **keys})


def targets(data, split="train"):
    source = data.open().splits[split]
    return source.labels.encode(np.arange(len(source)), np.zeros((len(source), 1)))


def test_ids_are_the_paths_as_the_table_has_them(make):
    source = make({"label": ["a", "b", "a", "b"]}, label_columns=["label"]).open().splits["train"]
    assert list(source.ids) == IMAGES
    assert [int(source.read(index)[0, 0, 0]) for index in range(4)] == [0, 40, 80, 120]


def test_paths_are_relative_to_the_root(make, tmp_path):
    data = make({"path": ["0.png"]}, root=tmp_path / "i", class_mode=None)
    assert data.open().splits["train"].sample_name(0) == str(tmp_path / "i" / "0.png")


def test_absolute_paths_are_taken_as_they_are(make, tmp_path):
    data = make({"path": [str(tmp_path / IMAGES[2])]}, root=tmp_path / "i", class_mode=None)
    source = data.open().splits["train"]
    assert source.read(0)[0, 0, 0] == 80
    assert source.sample_name(0) == str(tmp_path / IMAGES[2])


@pytest.mark.parametrize(
    ("mode", "cells", "y"),
    [
        ("categorical", ["b", "a", "b", "c"], [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("sparse", ["10", "9", "9", "10"], [1, 0, 0, 1]),
        ("sparse", ["10", "9", "9", "x"], [0, 1, 1, 2]),
        ("sparse", ["NA", "None", "null", "NA"], [0, 1, 2, 0]),
        ("sparse", ["001", "01", "1", "2"], [0, 1, 2, 3]),
        ("sparse", ["1E3", "1000", "1.10", "1.1"], [3, 2, 1, 0]),
        ("sparse", ["02134", "10001", "00501", "(large)"], [2, 3, 1, 0]),
        ("binary", [0, 1, 1, 0], [0, 1, 1, 0]),
        ("multi_label", ["cat|dog", "dog", "[]", "ant, cat"], [[0, 1, 1], [0, 0, 1], [0, 0, 0], [1, 1, 0]]),
        ("multi_label", ["['cat', 'dog']", '["dog"]', "[dog|cat]", "cat"], [[1, 1], [0, 1], [1, 1], [1, 0]]),
        ("multi_label", ["('cat', 'dog')", "{'dog'}", "['cat' 'dog']", "cat;dog"], [[1, 1], [0, 1], [1, 1], [1, 1]]),
        (
            "multi_label",
            ["['polar bear']", "[np.str_('dog')]", "set()", '["a, b"]'],
            [[0, 0, 1], [0, 1, 0], [0] * 3, [1, 0, 0]],
        ),
        ("multi_label", ["[0, 1, 1]", "[1 0 0]", "[0. 0. 1.]", "0|0|0"], [[0, 1, 1], [1, 0, 0], [0, 0, 1], [0] * 3]),
        ("multi_label", ["[3, 1]", "[1]", "[]", "[1 3]"], [[1, 1], [1, 0], [0, 0], [1, 1]]),
        ("raw", [1, "2.5", "-3e2", 0], [1, 2.5, -300, 0]),
        ("multi_output", [1, 2, 3, 4], [1, 2, 3, 4]),
    ],
)
def test_class_modes_have_the_shapes_of_keras(make, mode, cells, y):
    found = targets(make({"label": cells}, label_columns=["label"], class_mode=mode))
    assert found.dtype == np.float32
    assert found.tolist() == y


def test_label_is_the_default_target_column(make):
    assert targets(make({"label": list("abab")}, class_mode="sparse")).tolist() == [0, 1, 0, 1]


def test_input_and_null_read_no_label_column(make):
    assert targets(make({"label": ["", "", "", ""]}, class_mode=None)) is None
    assert targets(make({"label": [""] * 4}, class_mode="input", label_columns=["absent"])).shape == (4, 1)


def test_target_mapping_makes_named_heads(make):
    columns = {"bi": [1, 0, 1, 0], "multi": ["c", "a", "b", "a"], "size": [0.5, 1, 2, 3]}
    data = make(columns, class_mode={"bi": "binary", "multi": "categorical", "size": "raw"})
    found = targets(data)
    assert {name: array.shape for name, array in found.items()} == {"bi": (4,), "multi": (4, 3), "size": (4,)}
    assert [(head.name, head.mode) for head in data.open().heads] == [
        ("bi", "binary"), ("multi", "categorical"), ("size", "raw"),
    ]  # fmt: skip


def test_label_columns_say_the_order_of_heads(make):
    data = make({"p": [0, 1, 0, 1], "q": [0, 1, 1, 0]}, label_columns=["q", "p"], class_mode="sparse")
    assert list(targets(data)) == ["q", "p"]


def test_single_column_mapping_has_unnamed_head(make):
    assert targets(make({"bi": [1, 0, 1, 0]}, class_mode={"bi": "binary"})).tolist() == [1, 0, 1, 0]


def test_raw_columns_join_or_split_by_setting(make):
    columns = {"x": [1, 2, 3, 4], "y": [5, 6, 7, 8]}
    together = make(columns, label_columns=["x", "y"], class_mode="raw")
    assert targets(together).tolist() == [[1, 5], [2, 6], [3, 7], [4, 8]]
    assert together.open().heads[0].value_names == ("x", "y")
    apart = targets(make(columns, label_columns=["x", "y"], class_mode="multi_output"))
    assert {name: array.tolist() for name, array in apart.items()} == columns | {"x": [1, 2, 3, 4]}


def test_splits_follow_the_column(make):
    columns = {"label": ["a", "b", "a", "b"], "part": ["train", "Training", "Valid", "testing"]}
    splits = make(columns, label_columns=["label"], split_column="part").open().splits
    assert {split: list(source.ids) for split, source in splits.items()} == {
        "train": IMAGES[:2], "validation": IMAGES[2:3], "test": IMAGES[3:],
    }  # fmt: skip


def test_weights_reach_the_batch_of_each_split(make):
    from runner.loaders.kinds import Generator
    from runner.loaders.plan import Plan

    columns = {"label": ["a", "b", "a", "b"], "w": [1, 2, 0.5, 0], "part": ["test", "train", "train", "test"]}
    splits = make(columns, label_columns=["label"], weight_column="w", split_column="part").open().splits
    batch = Generator().build(splits["train"], Plan(num_samples=2, batch_size=2, shuffle=False)).batch(0, 0)
    assert batch.sample_weight.dtype == np.float32
    assert batch.sample_weight.tolist() == [2, 0.5]
    assert splits["test"].labels.weights.tolist() == [1, 0]


def test_parquet_gives_what_csv_gives(make, tmp_path):
    pytest.importorskip("pyarrow")
    columns = {"bi": [1, 0, 1, 0], "name": ["x", "y", "x", "x"], "tags": ["a|b", "b", "[]", "a"], "n": [1, 2, 3, 4.5]}
    keys = {"class_mode": {"bi": "binary", "name": "sparse", "tags": "multi_label", "n": "raw"}, "weight_column": "n"}
    from_csv = make(columns, **keys)
    table = pd.DataFrame({"path": IMAGES, **columns, "unread": [object] * 4}).drop(columns="unread")
    table["tags"] = [["a", "b"], ["b"], [], ["a"]]
    table["name"] = table["name"].astype("category")
    table.to_parquet(tmp_path / "m.parquet")
    from_parquet = component(tmp_path / "m.parquet", **keys)
    assert from_parquet.open().heads == from_csv.open().heads
    for name, array in targets(from_csv).items():
        assert np.array_equal(targets(from_parquet)[name], array)


def test_whole_numbers_are_integer_classes(tmp_path, make):
    pytest.importorskip("pyarrow")
    make({}, class_mode=None)
    pd.DataFrame({"path": IMAGES, "c": [2.0, 10.0, 2.0, 10.0]}).to_parquet(tmp_path / "m.parquet")
    data = component(tmp_path / "m.parquet", label_columns=["c"])
    assert data.open().heads[0].class_names == ("2", "10")


@pytest.mark.parametrize(
    ("columns", "keys", "message"),
    [
        ({"label": ["a", "", "b", ""]}, {}, "row 2, column 'label', must hold a class, got nothing .and 1 more row."),
        ({"label": ["a", "NaN", "b", "b"]}, {}, "row 2, column 'label', must hold a class, got nothing$"),
        ({"label": [1, 2, "x", ""]}, {"class_mode": "raw"}, "row 3, column 'label', must hold a number, got 'x'"),
        ({"label": [1, 2, 3, "1e39"]}, {"class_mode": "raw"}, "row 4, column 'label', must hold a number, got '1e.39'"),
        ({"label": ["a", "b", "", "c"]}, {"class_mode": "multi_label"}, r"row 3, .* hold classes \(\[\] for none\)"),
        ({"label": ["[]"] * 4}, {"class_mode": "multi_label"}, "column 'label', must hold classes, got none"),
        ({"label": ["['a']", "b", "a", "b"]}, {}, "must hold one class for data.class_mode=categorical, got .*; data"
         ".class_mode=multi_label reads several classes per sample"),
        ({"label": ["a", "{'a', 'b'}", "('a',)", "b"]}, {}, r"row 2, .* \(and 1 more row\); data.class_mode=multi"),
        ({"label": ["a", "a|c", "b", "b"]}, {"class_mode": "sparse"}, r"row 2, .* must hold one class .*, got 'a\|c'"),
        ({"label": ["a b", "a", "b", "b c"]}, {"class_mode": "multi_label"}, r"row 1, .* must separate classes by \|"),
        ({"label": ["b|c", "a", "b", "a b"]}, {"class_mode": "multi_label"}, r"row 4, .* by \|, as in .*, got 'a b'"),
        ({"label": ["1,5", 2, 3, 4]}, {"class_mode": "raw"}, "row 1, .* number, got '1,5'; write a decimal point, 1.5"),
        ({"label": ["1,5", 2, 2, 4]}, {"class_mode": "sparse"}, "got '1,5'; for numbers write 1.5 and set .*=raw, for"),
        ({"label": ["{'a': 1}", "a", "b", "b"]}, {"class_mode": "multi_label"}, "row 1, .* must list classes, got .*; "
         "write|: it holds no list of names; write"),
        ({"label": ["['a' ... 'b']", "a", "b", "b"]}, {"class_mode": "multi_label"}, "it was cut off"),
        ({"label": ["['a', None]", "a", "b", "b"]}, {"class_mode": "multi_label"}, "it holds no list of names"),
        ({"label": ["[[1, 0]]", "a", "b", "b"]}, {"class_mode": "multi_label"}, "it holds no list of names"),
        ({"label": ["[0.2, 0.8]", "[0, 1]", "[1, 0]", "[0, 0]"]}, {"class_mode": "multi_label"},
         "a 0 or 1 for each class, got .*; data.class_mode=raw predicts numbers"),
        ({"label": ["a", "b", "c", "a"]}, {"class_mode": "binary"}, "column 'label': data.class_mode=binary needs 2"),
        ({"label": ["a"] * 4}, {}, "needs at least 2 classes, got 1"),
        ({"label": list("abab"), "path": ["x", "y", "x", "y"]}, {}, "must list each image once, got 2 in .*: x, y"),
        ({"label": list("abab"), "path": ["x", "", "z", "w"]}, {}, "row 2, column 'path', must hold the path of an im"),
        ({"label": []}, {}, "must list samples, got no rows"),
        ({"lable": list("abab")}, {}, "must have the column 'label', got path, lable; did you mean 'lable'"),
        ({"label": list("abab")}, {"path_column": "file", "weight_column": "w"}, "must have the columns 'file', 'w'"),
        ({"label": list("abab"), "w": [1, 2, -1, 1]}, {"weight_column": "w"}, "row 3, .* hold a weight of at least 0"),
        ({"label": list("abab"), "w": [1, 2, "", 1]}, {"weight_column": "w"}, "row 3, column 'w', must hold a number"),
        (
            {"label": list("abab"), "part": ["train", "held", "test", "train"]},
            {"split_column": "part"},
            r"row 2, column 'part', must hold one of train, validation \(or val\) and test, got 'held'",
        ),
        (
            {"label": list("abab"), "part": ["val", "val", "test", "val"]},
            {"split_column": "part"},
            "column 'part', must have train rows, got only validation, test",
        ),
        (
            {"label": list("abbx"), "part": ["train", "train", "test", "val"]},
            {"split_column": "part"},
            "row 4, column 'label', must hold a class of the training rows, got 'x'",
        ),
        (
            {"label": ["a", "b", "a|x", "x"], "part": ["train", "train", "test", "val"]},
            {"split_column": "part", "class_mode": "multi_label"},
            r"row 3, column 'label', must hold only classes of the training rows, got 'a\|x' \(and 1 more row\)",
        ),
    ],
)  # fmt: skip
def test_unusable_table_names_row_and_column(make, columns, keys, message):
    with pytest.raises(DataError, match=message):
        make(columns, **{"label_columns": ["label"], **keys}).open()


@pytest.mark.parametrize("mode", ["sparse", "categorical"])
def test_numbers_that_never_repeat_are_no_classes(tmp_path, mode):
    (tmp_path / "m.csv").write_text("label\n" + "".join(f"{number / 7:.3f}\n" for number in range(1, 13)))
    targets = TargetReader(read_manifest(tmp_path / "m.csv", ["label"], []), np.arange(12), {})
    message = "needs classes, got 12 different numbers, such as 0.143, for 12 training samples; data.class_mode=raw"
    with pytest.raises(DataError, match=message):
        targets.target("label", mode, "")


@pytest.mark.parametrize("other", ["./i/0.png", "i/../i/0.png", "i//0.png", "{here}/i/0.png"])
def test_one_file_in_two_spellings_is_refused(make, tmp_path, other):
    other = other.format(here=tmp_path)
    data = make({"path": ["i/0.png", other, "i/1.png", "./i/2.png"], "label": list("abab")})
    with pytest.raises(DataError, match=r"must list each image once, got 1 in several rows: i/0.png \(also") as refused:
        data.open()
    assert other in str(refused.value)


def test_any_spelling_of_one_file_is_its_id(make):
    paths = ["./i/0.png", "i/../i/1.png", "i//2.png"]
    assert list(make({"path": paths, "label": list("aba")}).open().splits["train"].ids) == paths


def test_paths_of_a_mac_find_their_files(make, tmp_path):
    forms = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD", "NFD")]
    (tmp_path / forms[0]).mkdir()
    for number, form in enumerate(forms):
        Image.new("L", (4, 4), number).save(tmp_path / forms[0] / f"{number}{form}.png")
    on_disk = [f"{forms[0]}/{number}{form}.png" for number, form in enumerate(forms)]
    given = [
        unicodedata.normalize("NFD", on_disk[0]),
        on_disk[1],
        str(tmp_path / unicodedata.normalize("NFC", on_disk[2])),
    ]
    source = make({"path": given, "label": list("aba")}).open().splits["train"]
    assert list(source.ids) == [*on_disk[:2], str(tmp_path / on_disk[2])]
    assert [int(source.read(index)[0, 0, 0]) for index in range(3)] == [0, 1, 2]


@pytest.mark.skipif(int(pd.__version__[0]) < 3, reason="pandas 2 ends a text at a NUL character")
def test_path_with_a_nul_names_its_row(make):
    data = make({"path": [IMAGES[0], "x\0y.png"], "label": list("ab")})
    with pytest.raises(DataError, match="row 2, .* must hold the path of an image, without a NUL character"):
        data.open()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_recognised(tmp_path, make, separator):
    make({}, class_mode=None)
    rows = [["path", "label"], *zip(IMAGES, ["a", "b, c", "a", "b, c"])]
    (tmp_path / "m.csv").write_text("".join(f"{separator.join(row)}\n" for row in rows))
    assert component(tmp_path / "m.csv").open().heads[0].class_names == ("a", "b, c")


def test_quoted_header_may_follow_a_mark(tmp_path, make):
    make({}, class_mode=None)
    (tmp_path / "m.csv").write_text('\ufeff"path,1","path","label"\n0,i/0.png,x\n1,i/1.png,y\n')
    assert component(tmp_path / "m.csv").open().heads[0].class_names == ("x", "y")


def test_name_with_a_space_may_consist_of_names(make):
    data = make({"label": ["polar|bear", "['polar bear']", "polar", "bear"]}, class_mode="multi_label")
    assert data.open().heads[0].class_names == ("bear", "polar", "polar bear")


def test_column_that_is_there_twice_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("path,label,label\na,1,2\n")
    with pytest.raises(DataError, match="m.csv must have each column once, got 'label' more than once"):
        component(tmp_path / "m.csv").open()


def parquet(tmp_path, table, **keys):
    pytest.importorskip("pyarrow")
    table.to_parquet(tmp_path / "m.parquet")
    return component(tmp_path / "m.parquet", **keys)


def test_index_of_a_parquet_table_is_a_column(tmp_path, make):
    make({}, class_mode=None)
    table = pd.DataFrame({"label": list("abab")}, index=pd.Index(IMAGES, name="path"))
    source = parquet(tmp_path, table).open().splits["train"]
    assert (list(source.ids), source.labels.texts()) == (IMAGES, list("abab"))


@pytest.mark.parametrize(
    ("cells", "mode", "message"),
    [
        (pd.array([1, None, 2, 1], "Int64"), "sparse", "row 2, column 'label', must hold a class, got nothing"),
        (pd.array([True, None, False, True], "boolean"), "binary", "row 2, .* must hold a class, got nothing"),
        (pd.array([1, None, 2, 1], "Int64"), "raw", "row 2, .* must hold a number, got nothing"),
        ([[0.1, 0.2], [0.3], [], [1]], "raw", r"row 1, .* got '\[0.1, 0.2\]' .*; give each number a column of its own"),
        ([["a", "b"], ["a"], [], ["b"]], "categorical", r"row 1, .* got \"\['a', 'b'\]\" .*multi_label reads several"),
        (["", "a", "b", "a"], "sparse", "row 1, .* must hold a class, got nothing"),
        (pd.to_datetime(["2020-01-01"] * 4), "raw", "must hold numbers, got dates or times"),
    ],
)
def test_odd_cells_of_parquet_are_refused(tmp_path, make, cells, mode, message):
    make({}, class_mode=None)
    with pytest.raises(DataError, match=message):
        parquet(tmp_path, pd.DataFrame({"path": IMAGES, "label": cells}), class_mode=mode).open()


def test_parquet_reads_bytes_and_marks(tmp_path, make):
    make({}, class_mode=None)
    table = pd.DataFrame({"path": IMAGES, "label": [b"a", b"b", b"a", b"a"], "marks": [[0, 1], [1, 1], [0, 0], [1, 0]]})
    heads = parquet(tmp_path, table, class_mode={"label": "sparse", "marks": "multi_label"}).open().heads
    assert [head.class_names for head in heads] == [("a", "b"), ("0", "1")]


def test_parquet_categories_may_be_splits(tmp_path, make):
    make({}, class_mode=None)
    parts = pd.Categorical(["train", "Val", "train", "testing"])
    splits = (
        parquet(tmp_path, pd.DataFrame({"path": IMAGES, "part": parts}), class_mode=None, split_column="part")
        .open()
        .splits
    )
    assert {split: len(source) for split, source in splits.items()} == {"train": 2, "validation": 1, "test": 1}


def test_old_class_names_of_numbers_are_honoured(make):
    data = make({"label": ["001", "01", "2.50", "2"]}, class_mode="sparse")
    labels = data.open_for((Head("", "sparse", ("1", "2", "2.5")),)).splits["train"].labels
    assert labels.columns[0].tolist() == [0, 0, 2, 1]


@pytest.mark.parametrize("content", [b"", b'path,label\n"a,1\n'])
def test_file_that_is_no_table_is_refused_by_name(tmp_path, content):
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(DataError, match="m.csv must be a CSV or Parquet file with a header: "):
        component(tmp_path / "m.csv", label_columns=["label"]).open()


def test_table_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "m.txt").write_bytes("path;label\na.png;grün\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"m.txt must be text in UTF-8, got byte 0xfc; .*iconv"):
        component(tmp_path / "m.txt", label_columns=["label"]).open()


def test_row_with_extra_cells_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("path,label\n\na,1\nb,2,3\n")
    with pytest.raises(DataError, match="m.csv: row 2 must have 2 cells, like the header, got 3; put quotes around"):
        component(tmp_path / "m.csv", label_columns=["label"]).open()


def test_truncated_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "m.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(DataError, match="m.parquet must be a CSV or Parquet file"):
        component(tmp_path / "m.parquet", label_columns=["label"]).open()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"manifest": "m.xlsx"}, "manifest must end in .csv, .tsv, .txt or .parquet, got m.xlsx; save it as .csv"),
        ({"label_columns": []}, r"label_columns must name the columns to learn for class_mode=categorical, got \[\]"),
        ({"label_columns": ["a", "a"]}, r"label_columns must name each column once, got \[a, a\]"),
        ({"label_columns": ["a", "b c"]}, "must consist of letters a to z.*, got 'b c'; rename"),
        ({"class_mode": {}}, r"class_mode must map columns to modes, got \{\}"),
        ({"class_mode": {"b": "raw"}}, r"must be null or the columns of the class_mode mapping, \[b\]; got \[a\]"),
        ({"class_mode": None, "weight_column": "w"}, "weight_column must be null with class_mode=null, got 'w'"),
    ],
)  # fmt: skip
def test_conflicting_keys_are_refused_early(keys, message):
    with pytest.raises(ValidationError, match=message):
        component(**{"manifest": "m.csv", "label_columns": ["a"], **keys})


def test_name_of_an_only_output_may_be_anything(make):
    assert targets(make({"Größe (cm)": [1, 2, 3, 4]}, label_columns=["Größe (cm)"], class_mode="raw")).tolist()[0] == 1


def test_only_a_parquet_table_needs_pyarrow():
    tables = [component(f"m.{kind}", label_columns=["a"]) for kind in ("csv", "parquet")]
    assert [[package.name for package in table.packages()] for table in tables] == [[], ["pyarrow"]]


def test_missing_paths_are_named(tmp_path):
    data = component(tmp_path / "m.csv", root=tmp_path / "r", class_mode=None)
    assert [key for key, _ in data.missing_paths()] == ["manifest", "root"]


def test_table_may_lack_classes_of_a_model(make):
    heads = make({"label": list("abcc"), "tag": ["p|q", "p", "q", "r"]},
                 class_mode={"label": "sparse", "tag": "multi_label"}).open().heads  # fmt: skip
    other = make({"label": ["c"], "tag": ["r|p"]}, class_mode={"label": "sparse", "tag": "multi_label"}).open_for(heads)
    labels = other.splits["train"].labels
    assert labels.heads == heads
    assert [column.tolist() for column in labels.columns] == [[2], [[1, 0, 1]]]


def test_class_unknown_to_model_names_its_row(make):
    heads = make({"label": list("abab")}, label_columns=["label"]).open().heads
    with pytest.raises(DataError, match="row 3, column 'label', must hold a class .*, got 'z'"):
        make({"label": list("abzb")}, label_columns=["label"]).open_for(heads)
