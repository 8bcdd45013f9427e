"""Stratified splits: each class is divided by itself, by ranks of the hashes of its samples."""

from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.data.labels import Head, Labels
from runner.data.points import STRATUM, hashed, points_of
from runner.data.shares import Shares
from runner.data.splits import choose, divide
from runner.data.strata import Strata, sort_units, strata_of

SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=6)
SHARES = st.builds(Shares, st.sampled_from([0, 0.1, 0.2, 0.33, 0.49]), st.sampled_from([0, 0.05, 0.2, 0.5]))
SEEDS = st.integers(0, 5)
FEW = settings(max_examples=40)


def classes(sizes):
    """Ids and strata of classes a, b, … of these sizes, mixed."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    ids = [f"{chr(97 + code)}/{number}" for number, code in enumerate(codes.tolist())]
    mixed = np.random.default_rng(0).permutation(len(ids))
    return [ids[index] for index in mixed], Strata(codes[mixed], tuple(chr(97 + code) for code in range(len(sizes))))


def assigned(ids, strata, shares, seed=0):
    parts = divide(ids, shares, seed, strata).parts
    return {ids[index]: split for split, indices in parts.items() for index in indices.tolist()}


def counts(ids, strata, shares, seed=0):
    """Samples of each class in a split."""
    parts = divide(ids, shares, seed, strata).parts
    return {split: np.bincount(strata.codes[each], minlength=len(strata.names)) for split, each in parts.items()}


def multi_label(*rows):
    return Labels((Head("", "multi_label", ("a", "b", "c")),), (np.array(rows, np.uint8),))


def test_stratified_split_golden():
    # Changes only with a major version: samples held out so far would be trained on.
    ids, strata = classes([5, 1, 2])
    assert assigned(ids, strata, Shares(0.3, 0.3)) == {
        "a/0": "validation", "a/1": "train", "a/2": "train", "a/3": "test", "a/4": "validation",
        "b/5": "train", "c/6": "validation", "c/7": "train",
    }  # fmt: skip


def test_point_is_rank_and_hash_of_the_class():
    ids, strata = classes([30, 17])

    def word(name, purpose=b""):
        digest = blake2b(name.encode(), digest_size=8, key=(7).to_bytes(64, "little"), person=purpose).digest()
        return int.from_bytes(digest, "little")

    for letter in "ab":
        ranked = sorted((name for name in ids if name[0] == letter), key=word)
        points = [(rank + word(letter, b"stratum") / 2**64) / len(ranked) for rank in range(len(ranked))]
        expected = ["validation" if point < 0.33 else "test" if point >= 0.8 else "train" for point in points]
        found = assigned(ids, strata, Shares(0.33, 0.2), seed=7)
        assert [found[name] for name in ranked] == expected


@FEW
@given(SIZES, SHARES, SEEDS)
def test_splits_are_disjoint_and_hold_all(sizes, shares, seed):
    ids, strata = classes(sizes)
    parts = divide(ids, shares, seed, strata).parts
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(ids)))
    assert list(parts) == ["train", *["validation"] * (shares.validation > 0), *["test"] * (shares.test > 0)]
    assert all((np.diff(indices) > 0).all() and indices.dtype == np.int64 for indices in parts.values())


@FEW
@given(SIZES, SHARES, SEEDS)
def test_each_class_gets_its_share_rounded(sizes, shares, seed):
    ids, strata = classes(sizes)
    found = counts(ids, Strata(strata.codes, strata.names, are_classes=False), shares, seed)
    for split in ("validation", "test"):
        asked = getattr(shares, split) * np.array(sizes)
        assert (abs(found.get(split, 0) - asked) < 1).all()


@FEW
@given(SIZES, SHARES, SEEDS)
def test_small_classes_train_first_then_validate(sizes, shares, seed):
    ids, strata = classes(sizes)
    found, sizes = counts(ids, strata, shares, seed), np.array(sizes)
    assert (found["train"][sizes > 0] >= 1).all()
    if shares.validation:
        assert (found["validation"][sizes > 1] >= 1).all()
        assert (found["validation"][sizes == 1] == 0).all()
    if shares.test:
        least = 3 if shares.validation else 2
        assert (found["test"][sizes >= least] >= 1).all()
        assert (found["test"][sizes < least] == 0).all()


@FEW
@given(SIZES, SHARES, SHARES, SEEDS)
def test_share_of_validation_leaves_test_alone(sizes, shares, others, seed):
    ids, strata = classes(sizes)
    test = [
        divide(ids, Shares(min(share, 0.49), shares.test), seed, strata).parts.get("test", np.empty(0)).tolist()
        for share in (shares.validation or 0.1, others.validation or 0.3)
    ]
    assert test[0] == test[1]


@FEW
@given(SIZES, SHARES, SEEDS, st.integers(0, 5))
def test_added_sample_moves_one_at_each_cut(sizes, shares, seed, grown):
    grown %= len(sizes)
    ids, strata = classes(sizes)
    before = assigned(ids, strata, shares, seed)
    codes = np.append(strata.codes, grown)
    after = assigned([*ids, f"{strata.names[grown]}/new"], Strata(codes, strata.names), shares, seed)
    moved = [name for name, split in before.items() if after[name] != split]
    assert len(moved) <= (shares.validation > 0) + (shares.test > 0)
    assert {name[0] for name in moved} <= {strata.names[grown]}


@FEW
@given(SIZES, SHARES, SEEDS)
def test_order_of_samples_and_classes_is_free(sizes, shares, seed):
    ids, strata = classes(sizes)
    turned = Strata(len(sizes) - 1 - strata.codes[::-1], strata.names[::-1])
    assert assigned(ids, strata, shares, seed) == assigned(ids[::-1], turned, shares, seed)


def test_shares_are_unbiased_over_the_seeds():
    # 600 classes of 4 at 0.1 get 0 or 1: a draw that favours either is off by many times the deviation of 4.7.
    names = tuple(f"class {number}" for number in range(600))
    ids, strata = [f"{number}" for number in range(2400)], Strata(np.arange(2400) % 600, names, are_classes=False)
    totals = [len(divide(ids, Shares(0.1), seed, strata).parts["validation"]) for seed in range(20)]
    deviation = np.sqrt(600 * 0.4 * 0.6)
    assert abs(np.mean(totals) - 240) < 4 * deviation / np.sqrt(20)
    assert 0.5 < np.std(totals) / deviation < 1.6


def test_u_of_classes_is_uniform():
    # Chi-squared of 20 bins: 19 in the mean, above 50 once in 10,000 draws.
    points = points_of(hashed([f"class {number}" for number in range(4000)], 0, STRATUM))
    bins = np.bincount((points * 20).astype(int), minlength=20)
    assert ((bins - 200) ** 2 / 200).sum() < 50
    assert abs(np.corrcoef(points[1:], points[:-1])[0, 1]) < 0.07


def test_equal_hashes_are_ordered_by_id():
    words, codes = np.array([5, 5, 5, 9, 5], np.uint64) << np.uint64(32), np.array([0, 0, 1, 0, 0])
    names = ["b", "a", "z", "0", "c"]
    assert sort_units(words, codes, names).tolist() == [1, 0, 4, 3, 2]
    low = np.array([3, 2, 1, 0], np.uint64)  # only in bits that the stratum takes
    assert sort_units(low, np.array([0, 7, 0, 7]), ["a", "b", "c", "d"]).tolist() == [2, 0, 3, 1]


def test_rarest_label_is_the_stratum():
    strata = strata_of(multi_label([1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 1, 1], [1, 0, 1]))
    assert [strata.names[code] for code in strata.codes] == ["b", "a", "c", "", "b", "c"]
    assert strata.are_classes


def test_columns_combine_and_numbers_do_not():
    heads = (Head("kind", "sparse", ("a", "b")), Head("size", "raw"), Head("two", "binary", ("x", "y")))
    columns = (np.array([0, 0, 1, 1]), np.arange(4.0), np.array([0, 1, 1, 0]))
    strata = strata_of(Labels(heads, columns))
    assert [strata.names[code] for code in strata.codes] == ["a\0x", "a\0y", "b\0y", "b\0x"]
    assert not strata.are_classes


@pytest.mark.parametrize("mode", ["raw", "input", "mask"])
def test_samples_without_classes_have_no_strata(mode):
    head = Head("", mode, ("a", "b") if mode == "mask" else (), field="mask" if mode == "mask" else "")
    assert strata_of(Labels((head,), (np.empty(0, np.int64),))) is None
    assert strata_of(Labels((), ())) is None


@FEW
@given(SIZES, st.integers(1, 60), st.integers(0, 60), SEEDS)
def test_limit_takes_shares_and_is_nested(sizes, most, more, seed):
    ids, strata = classes(sizes)
    few, many = (set(choose(ids, number, seed, strata).tolist()) for number in (most, most + more))
    assert len(few) == min(most, len(ids))
    assert few <= many
    found = np.bincount(strata.codes[sorted(few)], minlength=len(sizes))
    # The points are evenly spaced in each class, so a class is off by less than one sample beside the total.
    assert (abs(found - len(few) * np.array(sizes) / max(len(ids), 1)) < 2).all()


def test_limit_takes_as_many_of_each_class():
    ids, strata = classes([70] * 7)
    chosen = choose(ids, 50, 0, strata)
    assert sorted(np.bincount(strata.codes[chosen]).tolist()) == [7, 7, 7, 7, 7, 7, 8]
    splits = divide([ids[index] for index in chosen], Shares(0.5), 0).parts  # a hash of its own: the limit is mixed
    assert 15 < len(splits["validation"]) < 35
