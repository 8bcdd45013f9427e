"""Folds: each sample that is not for the test validates in one of K runs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runner import compose
from runner.data.arrays import Arrays
from runner.data.dataframe import DataFrame
from runner.data.groups import Groups
from runner.data.shares import Fold, Shares
from runner.data.splits import divide
from runner.data.strata import Strata
from runner.errors import ConfigurationError, DataError
from tests.support.photos import write_photos

FEW = settings(max_examples=30)
SIZES = st.lists(st.integers(0, 30), min_size=1, max_size=5)
TESTS = st.sampled_from([0.0, 0.1, 0.25, 0.6])


def classes(sizes):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    return [f"{code}/{number}" for number, code in enumerate(codes.tolist())], Strata(
        codes, tuple(map(str, range(len(sizes))))
    )


def held_out(ids, shares, **keys):
    parts = divide(ids, shares, 0, **keys).parts
    return [set(parts.get(split, np.empty(0)).tolist()) for split in ("validation", "test")]


@FEW
@given(SIZES, TESTS, st.integers(2, 7), st.sampled_from(["classes", "ids", "groups", "both"]))
def test_each_sample_validates_once(sizes, test, num_folds, kind):
    ids, strata = classes(sizes)
    keys = {"strata": strata} if kind in ("classes", "both") else {}
    keys |= {"groups": Groups.of([name[-1] for name in ids])} if kind in ("groups", "both") else {}
    folds, tests = zip(*(held_out(ids, Shares(0, test, Fold(k, num_folds)), **keys) for k in range(num_folds)))
    assert sorted(index for fold in folds for index in fold) == sorted(set(range(len(ids))) - tests[0])
    assert all(each == tests[0] for each in tests)
    assert tests[0] == held_out(ids, Shares(0.2, test), **keys)[1]


@FEW
@given(SIZES, st.sampled_from([None, "strata"]))
def test_first_fold_of_five_is_a_fifth(sizes, kind):
    ids, strata = classes([size if size >= 5 else 5 for size in sizes])
    keys = {} if kind is None else {"strata": strata}
    assert held_out(ids, Shares(0, 0, Fold(0, 5)), **keys) == held_out(ids, Shares(0.2), **keys)


@FEW
@given(SIZES, st.integers(2, 6))
def test_folds_have_each_class_in_equal_parts(sizes, num_folds):
    ids, strata = classes(sizes)
    folds = [divide(ids, Shares(0, 0, Fold(k, num_folds)), 0, strata).parts["validation"] for k in range(num_folds)]
    counts = np.array([np.bincount(strata.codes[fold], minlength=len(sizes)) for fold in folds])
    assert (abs(counts - np.array(sizes) / num_folds) < 1).all()


@pytest.fixture
def arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(60.0)[:, None], y=np.arange(60) % 3)
    return lambda **keys: Arrays(path=tmp_path / "a.npz", **keys)


@pytest.fixture
def table(tmp_path):
    """The settings of a table of 6 images with these folds and splits."""
    root = write_photos(tmp_path, ["a"], 6).joinpath("a")

    def write(column, splits=(), **keys):
        rows = zip(range(6), column, splits or ["train"] * 6, strict=True)
        lines = [f"{number:02}.png,{number % 2},{fold},{split}" for number, fold, split in rows]
        (tmp_path / "a.csv").write_text("\n".join(["path,label,fold,split", *lines]))
        given_keys = {"split_column": "split"} if splits else {}
        return DataFrame(
            manifest=tmp_path / "a.csv", root=root, target_size=(4, 4), fold_column="fold", **given_keys, **keys
        )

    return write


def test_fold_is_the_validation_split(arrays):
    opened = [arrays(folds=3, fold=fold, test_split=0.1).open() for fold in range(3)]
    assert [len(each.splits["validation"]) for each in opened] == [18, 18, 18]
    assert all(list(each.splits["test"].ids) == list(opened[0].splits["test"].ids) for each in opened)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"folds": 5}, r"fold must be the number of the fold that validates, got null; give data\.fold=0"),
        ({"fold": 1}, r"folds must be the number of folds with fold=1, got null; give data\.folds=5"),
        ({"folds": 5, "fold": 5}, "fold must be from 0 to 4 with folds=5, got 5"),
        ({"folds": 1, "fold": 0}, "greater than or equal to 2"),
        ({"folds": 5, "fold": 0, "validation_split": 0.3}, "validation_split must be left out with folds, got 0.3"),
    ],
)
def test_folds_that_do_not_fit_are_refused(arrays, keys, message):
    with pytest.raises(ValidationError, match=message):
        arrays(**keys)


def test_folds_of_divided_data_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.zeros((9, 1)), y_train=np.arange(9) % 3, x_val=np.zeros((3, 1)),
             y_val=np.arange(3))  # fmt: skip
    with pytest.raises(DataError, match=r"data\.folds=3 divides .* the data has a validation split of its own"):
        Arrays(path=tmp_path / "a.npz", folds=3, fold=0).open()


def test_digits_take_folds_from_the_command_line(digits_root):
    config = compose([f"data.root={digits_root}", "data.folds=5", "data.fold=4"])
    assert {split: len(source) for split, source in config.data.open().splits.items()}.keys() == {
        "train", "validation", "test",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="validation_split must be left out"):
        compose(["data.folds=5", "data.fold=4", "data.validation_split=0.2"])


def test_column_names_the_folds(table):
    splits = table([0, 1, 2, 0, 1, 2], fold=1).open().splits
    assert list(splits["validation"].ids) == ["01.png", "04.png"]
    splits = table([0, 1, "", 0, 1, 2], ["train", "train", "test", *["train"] * 3], fold=0).open().splits
    assert {split: len(source) for split, source in splits.items()} == {"train": 3, "validation": 2, "test": 1}


@pytest.mark.parametrize(
    ("folds", "splits", "fold", "message"),
    [
        ([0, 1, "x", 0, 1, 2], (), 0, "row 3, column 'fold', must hold the number of a fold, from 0 on, got 'x'"),
        ([0, 1, "", 0, 1, 2], (), 0, "row 3, column 'fold', must hold the number of a fold, from 0 on, got nothing"),
        ([0, 1, 2, 0, 1, 2], (), 5, "must have rows of fold 5 and of others, got fold 0, 1, 2; set data.fold"),
        ([0] * 6, (), 0, "must have rows of fold 0 and of others, got fold 0"),
        ([0, 1] * 3, ["val", *["train"] * 5], 0, "the table has validation rows"),
    ],
)
def test_column_without_such_folds_is_refused(table, folds, splits, fold, message):
    with pytest.raises(DataError, match=message):
        table(folds, splits, fold=fold).open()


def test_column_of_folds_goes_alone(table):
    for keys in ({"folds": 3, "fold": 0}, {"fold": 0, "test_split": 0.2}, {}):
        with pytest.raises(ValidationError, match="with fold_column=fold|fold must be the number"):
            table([0, 1] * 3, **keys)
