"""Groups: all samples of a patient are in one split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.data.dataframe import DataFrame
from runner.data.directory import Directory
from runner.data.groups import Groups
from runner.data.points import GROUP, STRATUM, hashed, points_of
from runner.data.shares import Shares
from runner.data.splits import divide
from runner.data.strata import Strata
from runner.errors import DataError
from tests.support.photos import write_photos

SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=30)


def grouped(sizes, num_classes=3):
    """Ids, groups of these sizes, and strata: group g is of class g % classes, but for one sample in ten."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    classes = (codes + (np.arange(len(codes)) % 10 == 0)) % num_classes
    names = [f"g{code}" for code in codes.tolist()]
    ids = [f"{name}_{number}" for number, name in enumerate(names)]
    return ids, Groups.of(names), Strata(classes, tuple("abc"[:num_classes]))


def splits(ids, groups, shares, strata=None, seed=0):
    """The split of each group, by name."""
    parts = divide(ids, shares, seed, strata, groups).parts
    found = {(groups.names[groups.codes[index]], split) for split, part in parts.items() for index in part.tolist()}
    assert len(found) == len(groups.names)
    return dict(found)


@pytest.fixture
def photos(tmp_path):
    """The settings of 24 images of 6 patients, p0-00.png, …"""
    root = write_photos(tmp_path / "photos", ["cat", "dog"], 12)
    for file in sorted(root.rglob("*.png")):
        file.rename(file.with_name(f"p{int(file.stem) % 6}-{file.name}"))
    return lambda **keys: Directory(root=root, target_size=(4, 4), **keys)


@pytest.fixture
def table(tmp_path):
    """The settings of a table with a row for each pair of a patient and a split."""
    root = write_photos(tmp_path, ["a"], 12).joinpath("a")

    def write(patients, given="", **keys):
        names = given or ["train"] * len(patients)
        rows = [
            f"{number:02}.png,{number % 2},{who},{split}" for number, (who, split) in enumerate(zip(patients, names))
        ]
        (tmp_path / "a.csv").write_text("\n".join(["path,label,patient,split", *rows]))
        given_keys = {"split_column": "split"} if given else {}
        return DataFrame(
            manifest=tmp_path / "a.csv", root=root, target_size=(4, 4), group_column="patient", **given_keys, **keys
        )

    return write


@settings(max_examples=40)
@given(SIZES, st.booleans(), st.integers(0, 4))
def test_groups_are_whole_and_in_one_split(sizes, stratify, seed):
    ids, groups, strata = grouped(sizes)
    found = splits(ids, groups, Shares(0.2, 0.2), strata if stratify else None, seed)
    assert found.keys() == set(groups.names)


@settings(max_examples=40)
@given(SIZES)
def test_point_of_a_group_is_its_hash_alone(sizes):
    ids, groups, _ = grouped(sizes)
    points = dict(zip(groups.names, points_of(hashed(groups.names, 0, GROUP)).tolist(), strict=True))
    expected = {name: "validation" if p < 0.3 else "test" if p >= 0.8 else "train" for name, p in points.items()}
    assert splits(ids, groups, Shares(0.3, 0.2)) == expected


def test_point_in_a_class_counts_its_samples():
    ids, groups, strata = grouped([5, 3, 9, 2, 7, 4], num_classes=1)
    words = hashed(groups.names, 0, GROUP)
    u, before, expected = float(points_of(hashed(["a"], 0, STRATUM))[0]), 0, {}
    for group in np.argsort(words).tolist():
        point = (before + u * groups.sizes[group]) / 30
        before += groups.sizes[group]
        expected[groups.names[group]] = "validation" if point < 0.4 else "test" if point >= 0.75 else "train"
    assert set(expected.values()) == {"train", "validation", "test"}
    assert splits(ids, groups, Shares(0.4, 0.25), strata) == expected


def test_stratum_is_the_class_of_most_samples():
    strata = Strata(np.array([1, 1, 0, 0, 1, 2, 0]), ("b", "a", "c"))
    assert Groups.of(["x", "x", "x", "y", "y", "z", "w"]).strata(strata).tolist() == [1, 1, 2, 0]


def test_classes_keep_their_shares_in_groups():
    random = np.random.default_rng(0)
    ids, groups, strata = grouped(random.integers(1, 20, 300).tolist())
    shares = []
    for stratify in (True, False):
        part = divide(ids, Shares(0.2), 0, strata if stratify else None, groups).parts["validation"]
        shares.append(np.bincount(strata.codes[part]) / np.bincount(strata.codes))
    assert abs(shares[0] - 0.2).max() < 0.03
    assert abs(shares[0] - 0.2).max() < abs(shares[1] - 0.2).max()


def test_added_sample_moves_few_groups():
    ids, groups, strata = grouped(np.random.default_rng(0).integers(1, 20, 200).tolist())
    before, moved = splits(ids, groups, Shares(0.2, 0.2), strata), []
    for name in groups.names[::5]:
        values = [*(groups.names[code] for code in groups.codes), name]
        codes = np.append(strata.codes, groups.strata(strata)[groups.names.index(name)])
        after = splits([*ids, "new"], Groups.of(values), Shares(0.2, 0.2), Strata(codes, strata.names))
        moved.append(sum(after[group] != before[group] for group in before))
    assert max(moved) <= 2
    assert np.mean(moved) < 0.5


@pytest.mark.parametrize("stratify", [True, False])
def test_pattern_names_groups_in_ids(photos, stratify):
    dataset = photos(group_pattern="(p[0-9]+)-", validation_split=0.5, stratify=stratify).open()
    patients = {split: {name.split("/")[1][:2] for name in source.ids} for split, source in dataset.splits.items()}
    assert len(set().union(*patients.values())) == sum(map(len, patients.values())) == 6
    held_out = len(patients["validation"])
    assert dataset.notes == (
        f"data.validation_split=0.5 selects {held_out / 6:.3g} of the samples, {held_out} of 6 groups",
    )


def test_ids_without_a_group_are_named(photos):
    with pytest.raises(
        DataError, match=r"must find a group in each id, got none in 20 of 24: cat/p1-01.png, .* 17 more"
    ):
        photos(group_pattern="(p0)-").open()
    with pytest.raises(DataError, match="got none in 24 of 24"):
        photos(group_pattern="(x?)").open()


@pytest.mark.parametrize(("pattern", "message"), [("p[0-9]", "parentheses"), ("(p", "regular expression")])
def test_pattern_without_a_group_is_refused(photos, pattern, message):
    with pytest.raises(ValidationError, match=f"group_pattern must .*{message}"):
        photos(group_pattern=pattern)


def test_one_group_is_refused_and_singles_named(photos):
    with pytest.raises(DataError, match=r"data.validation_split=0.2 cannot divide 24 samples of one group, 'p'"):
        photos(group_pattern="(p)").open()
    notes = photos(group_pattern="(.*)").open().notes
    assert notes == ("each of 24 samples is a group of its own: groups keep nothing together",)


def test_column_names_the_groups(table):
    dataset = table([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6], validation_split=0.3).open()
    assert len(dataset.splits["validation"]) in (2, 4)
    rows = [{int(name[:2]) // 2 for name in source.ids} for source in dataset.splits.values()]
    assert rows[0].isdisjoint(rows[1])


def test_empty_cell_of_a_group_is_named(table):
    with pytest.raises(DataError, match=r"row 2, column 'patient', must hold a group, got nothing \(and 1 more row\)"):
        table(["p1", "", "p3", " "]).open()


def test_groups_in_two_given_splits_are_refused(table):
    patients, given = ["a", "b", "c", "d", "e", "e", "a", "b", "c", "d"], [*["train"] * 6, "val", "test", "val", "val"]
    message = (
        r"each group must be in one split of the data, got 4 in several: 'a' \(train and validation\), "
        r"'b' \(train and test\), 'c' \(train and validation\) and 1 more; "
    )
    with pytest.raises(DataError, match=message):
        table(patients, given).open()
    given[6:] = ["train"] * 4
    assert list(table(patients, given, validation_split=0.0).open().splits) == ["train"]


def test_groups_are_given_in_one_way(table):
    with pytest.raises(ValidationError, match="group_pattern must be null with group_column=patient"):
        table(["a"], group_pattern="(a)")
