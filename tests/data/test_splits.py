"""A sample's split follows from its id, and from nothing else."""

from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.data.division import SPLIT_NAMES, split_of
from runner.data.splits import choose, split_by_fraction

IDS = st.lists(st.text(max_size=8), max_size=40, unique=True)
SHARES = st.floats(0, 0.49)
MANY = [f"class_{number % 3}/image_{number:05d}.png" for number in range(20_000)]


def assigned(ids, validation=0.3, test=0.2, seed=0):
    parts = split_by_fraction(ids, validation=validation, test=test, seed=seed)
    return {ids[index]: split for split, indices in parts.items() for index in indices}


def members(split, **settings):
    return {name for name, where in assigned(MANY, **settings).items() if where == split}


def test_assignment_golden():
    # Changes only with a major version: samples held out so far would be trained on.
    ids = ["a.png", "b.png", "c.png", "d.png", "cats/1.png", "cats/2.png", "dogs/1.png", "hünde/é.png"]
    assert assigned(ids, validation=0.3, test=0.3) == {
        "cats/1.png": "train",
        "dogs/1.png": "train",
        "hünde/é.png": "train",
        "a.png": "validation",
        "d.png": "validation",
        "b.png": "test",
        "c.png": "test",
        "cats/2.png": "test",
    }
    assert assigned(ids, validation=0.3, test=0.3, seed=1) == {
        "b.png": "train",
        "c.png": "train",
        "d.png": "train",
        "hünde/é.png": "train",
        "a.png": "validation",
        "cats/1.png": "validation",
        "dogs/1.png": "validation",
        "cats/2.png": "test",
    }


def test_assignment_is_one_line_of_hashlib():
    for name in MANY[:100]:
        digest = blake2b(name.encode(), digest_size=8, key=(7).to_bytes(64, "little")).digest()
        point = int.from_bytes(digest, "little") / 2**64
        expected = "validation" if point < 0.3 else "test" if point >= 0.8 else "train"
        assert assigned([name], seed=7) == {name: expected}


@given(IDS, SHARES, SHARES)
def test_each_sample_is_in_one_split(ids, validation, test):
    parts = split_by_fraction(ids, validation=validation, test=test, seed=0)
    together = np.concatenate(list(parts.values()))
    assert sorted(together.tolist()) == list(range(len(ids)))
    assert list(parts) == ["train", *["validation"] * (validation > 0), *["test"] * (test > 0)]


@given(IDS)
def test_indices_are_ascending_int64(ids):
    for indices in split_by_fraction(ids, validation=0.3, test=0.3, seed=0).values():
        assert indices.dtype == np.int64
        assert (np.diff(indices) > 0).all()


@given(IDS, IDS)
def test_nothing_moves_when_samples_come_or_go(ids, others):
    more = assigned(list(dict.fromkeys(ids + others)))
    assert assigned(ids).items() <= more.items()


@given(IDS.flatmap(lambda ids: st.tuples(st.just(ids), st.permutations(ids))))
def test_order_of_the_samples_does_not_matter(both):
    ids, shuffled = both
    assert assigned(ids) == assigned(shuffled)


@pytest.mark.parametrize(("validation", "test"), [(0.2, 0.1), (0.5, 0.01), (0.01, 0.9)])
def test_shares_hold_in_expectation(validation, test):
    parts = split_by_fraction(MANY, validation=validation, test=test, seed=0)
    for split, share in {"validation": validation, "test": test, "train": 1 - validation - test}.items():
        sigma = np.sqrt(len(MANY) * share * (1 - share))
        assert abs(len(parts[split]) - len(MANY) * share) < 4 * sigma


def test_shares_hold_within_each_class():
    validation = split_by_fraction(MANY, validation=0.2, test=0.1, seed=0)["validation"]
    per_class = np.bincount(validation % 3)
    sigma = np.sqrt(len(MANY) / 3 * 0.2 * 0.8)
    assert (abs(per_class - len(MANY) / 3 * 0.2) < 4 * sigma).all()


def test_changing_one_share_keeps_other_split():
    assert members("validation", test=0.0) == members("validation", test=0.6)
    assert members("test", validation=0.0) == members("test", validation=0.6)


def test_raising_a_share_only_takes_from_training():
    assert members("validation", validation=0.1) < members("validation", validation=0.2)
    assert members("test", test=0.1) < members("test", test=0.2)


def test_seeds_give_independent_assignments():
    both = len(members("validation", seed=0) & members("validation", seed=1))
    expected = len(MANY) * 0.3 * 0.3
    assert abs(both - expected) < 4 * np.sqrt(expected)


def test_no_shares_leave_everything_for_training():
    parts = split_by_fraction(MANY, validation=0.0, test=0.0, seed=0)
    assert list(parts) == ["train"]
    assert parts["train"].tolist() == list(range(len(MANY)))


def test_splits_may_come_out_empty():
    parts = split_by_fraction([], validation=0.5, test=0.1, seed=0)
    assert {split: indices.tolist() for split, indices in parts.items()} == {"train": [], "validation": [], "test": []}


def test_ids_that_are_no_utf8_count():
    names = [f"{bytes([byte]).decode('utf-8', 'surrogateescape')}.png" for byte in range(128, 256)]
    assert set(assigned(names).values()) == {"train", "validation", "test"}


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_share_out_of_range_is_named(split, share):
    shares = {"validation": 0.0, "test": 0.0, split: share}
    with pytest.raises(ValueError, match=f"^{split} must be a fraction from 0 to below 1, got {share}$"):
        split_by_fraction(MANY, **shares, seed=0)


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (0.9, 0.1), (0.7, 0.6)])
def test_shares_must_leave_something_to_train_on(validation, test):
    with pytest.raises(ValueError, match=rf"^validation \+ test must be below 1, got {validation} \+ {test}: "):
        split_by_fraction(MANY, validation=validation, test=test, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**512])
def test_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=rf"^seed must be from 0 to 2\*\*512 - 1, got {seed}$"):
        split_by_fraction(MANY, validation=0.1, test=0.1, seed=seed)


def test_choice_golden():
    # Changes only with a major version: limited runs would show other samples.
    assert choose([f"{number}.png" for number in range(20)], 5, seed=0).tolist() == [5, 8, 11, 12, 14]


@given(IDS, st.integers(1, 50), st.integers(0, 3))
def test_choice_has_requested_size_and_order(ids, most, seed):
    chosen = choose(ids, most, seed).tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(most, len(ids))


@given(IDS, st.integers(1, 50), st.integers(1, 50), st.randoms(use_true_random=False))
def test_choice_depends_on_ids_and_only_grows(ids, some, more, random):
    shuffled = random.sample(ids, len(ids))
    few = {shuffled[index] for index in choose(shuffled, some, 0)}
    assert few <= {ids[index] for index in choose(ids, some + more, 0)}
    assert few == {ids[index] for index in choose(ids, some, 0)}


def test_choice_is_mixed_whatever_the_split_was():
    parts = split_by_fraction(MANY, validation=0.5, test=0.0, seed=0)
    held_out = [MANY[index] for index in parts["validation"]]
    chosen = [held_out[index] for index in choose(held_out, 3000, 0)]
    assert [sum(name.startswith(f"class_{code}/") for name in chosen) for code in range(3)] == pytest.approx(
        [1000] * 3, abs=100
    )
    # The lowest points of the hash that splits would stay in validation whatever its share.
    still = split_by_fraction(chosen, validation=0.25, test=0.0, seed=0)["validation"]
    assert len(still) == pytest.approx(1500, abs=120)


def test_usual_names_of_splits_are_known():
    assert {name: split_of(name) for name in ("Train", "TRAINING", " val ", "Valid", "dev", "Testing")} == {
        "Train": "train", "TRAINING": "train", " val ": "validation", "Valid": "validation", "dev": "validation",
        "Testing": "test",
    }  # fmt: skip
    assert [split_of(name) for name in ("trains", "evaluation", "", 1)] == [None] * 4
    assert set(SPLIT_NAMES.values()) == {"train", "validation", "test"}
