"""Rounds: exact shares, passes that run on over epochs, and no draw that is likelier than another."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.loaders.members import Members
from runner.loaders.plan import Plan
from runner.loaders.rounds import Rounds

IMPOSSIBLE, PLAUSIBLE = 1e-12, 1e-3
SIZES = st.lists(st.integers(0, 30), min_size=1, max_size=9).filter(any)


def balanced(sizes, order=None):
    """Rounds over classes of these sizes; `order` is the order of the samples' codes."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    return Rounds.balanced(Members.of_codes(codes if order is None else codes[order], len(sizes)))


def epochs_of(rounds, count, seed=0):
    """All draws of the first epochs."""
    draws = [rounds.at(seed, epoch, 0, rounds.num_draws) for epoch in range(count)]
    return np.concatenate([draw.indices for draw in draws]), np.concatenate([draw.passes for draw in draws])


@settings(max_examples=25)
@given(SIZES, st.integers(0, 2**32))
def test_pass_counts_the_draws_of_a_sample_before(sizes, seed):
    rounds, seen = balanced(sizes), dict.fromkeys(range(sum(sizes)), 0)
    for sample, number in zip(*map(np.ndarray.tolist, epochs_of(rounds, 3, seed)), strict=True):
        assert seen[sample] == number
        seen[sample] += 1
    starts = np.cumsum([0, *sizes])
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        counts = [seen[sample] for sample in range(begin, end)]
        assert max(counts, default=0) - min(counts, default=0) <= 1


@settings(max_examples=25)
@given(SIZES, st.integers(0, 2**32), st.integers(0, 10**6))
def test_every_class_has_the_same_share(sizes, seed, epoch):
    rounds = balanced(sizes)
    drawn = rounds.at(seed, epoch, 0, rounds.num_draws).indices
    counts = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[drawn], minlength=len(sizes))
    assert set(counts[np.array(sizes) > 0].tolist()) == {rounds.num_draws // np.count_nonzero(sizes)}
    assert sum(sizes) <= rounds.num_draws < sum(sizes) + len(sizes)


@settings(max_examples=30)
@given(SIZES, st.integers(0, 2**32), st.integers(0, 10**6), st.data())
def test_any_draws_are_computed_directly(sizes, seed, epoch, data):
    rounds = balanced(sizes)
    start = data.draw(st.integers(0, rounds.num_draws - 1))
    stop = data.draw(st.integers(start + 1, rounds.num_draws))
    whole, part = rounds.at(seed, epoch, 0, rounds.num_draws), rounds.at(seed, epoch, start, stop)
    assert part.indices.tolist() == whole.indices[start:stop].tolist()
    assert part.passes.tolist() == whole.passes[start:stop].tolist()


def test_rounds_golden():
    # Changes only with a major version: everyone's balanced runs would repeat with other batches.
    rounds = balanced([1, 3, 2])
    assert rounds.num_draws == 6
    assert [rounds.at(5, epoch, 0, 6).indices.tolist() for epoch in range(3)] == [
        [1, 5, 0, 2, 0, 4],
        [4, 0, 3, 0, 5, 2],
        [4, 3, 0, 0, 5, 1],
    ]
    assert rounds.at(5, 2, 0, 6).passes.tolist() == [2, 1, 4, 5, 2, 1]


def test_one_class_is_the_plain_plan():
    rounds = balanced([50])
    for epoch in range(3):
        draw = rounds.at(0, epoch, 0, rounds.num_draws)
        assert sorted(draw.indices.tolist()) == list(range(50))
        assert draw.passes.tolist() == [epoch] * 50


def test_shares_are_exact_in_every_round():
    rounds = Rounds(Members.of_sizes([50, 8]), (7, 3))
    drawn, passes = epochs_of(rounds, 4)
    assert rounds.num_draws == 60
    assert ((drawn.reshape(-1, 10) >= 50).sum(axis=1) == 3).all()
    assert passes[drawn >= 50].max() == 24 * 3 // 8 - 1
    assert [rounds.draws_of(number) for number in (0, 1)] == [42, 18]


@pytest.mark.parametrize("slots", [(0, 0), (1, 1)])
def test_slot_without_samples_is_refused(slots):
    with pytest.raises(ValueError, match="each slot needs a class with samples, got slots"):
        Rounds(Members.of_sizes([5, 0]), slots)


def test_members_take_four_bytes_a_sample():
    members = Members.of_codes(np.arange(1000) % 7, 7)
    assert members.samples.nbytes == 4 * 1000
    assert members.alike(8).tolist() == list(range(1, 1000, 7))
    assert Members.of_sizes([3, 4]).alike(5).tolist() == [3, 4, 5, 6]


def p_of_places(rows, num_values):
    """How likely fair draws give each column such uneven values; `rows` has shape `(repetitions, places)`."""
    counts = np.stack([np.bincount(column, minlength=num_values) for column in rows.T])
    expected = len(rows) / num_values
    free = (num_values - 1) * (rows.shape[1] - 1)  # a permutation in each row: the sums of both sides are fixed
    return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum() * (num_values - 1) / num_values, free))


def test_orders_of_rounds_and_classes_are_uniform():
    rounds = balanced([6, 6, 6, 6, 6, 6])
    drawn, _ = epochs_of(rounds, 500)
    classes, within = drawn.reshape(-1, 6) // 6, drawn % 6
    assert p_of_places(classes, 6) > PLAUSIBLE
    for number in range(6):
        assert p_of_places(within[drawn // 6 == number].reshape(-1, 6), 6) > PLAUSIBLE


def test_biased_draws_are_found():
    rounds = balanced([6, 6, 6, 6, 6, 6])
    drawn, _ = epochs_of(rounds, 500)
    classes = drawn.reshape(-1, 6) // 6
    swapped = np.where(np.arange(len(classes))[:, None] % 10 == 0, np.sort(classes, axis=1), classes)
    assert p_of_places(swapped, 6) < IMPOSSIBLE


def test_all_pairs_of_classes_meet_in_batches():
    plan = Plan(num_samples=2400, batch_size=8, drawing=balanced([60] * 40))
    met = {
        pair
        for step in range(plan.num_steps)
        for pair in combinations(sorted(set((plan.batch(0, step).indices // 60).tolist())), 2)
    }
    assert len(met) == 40 * 39 // 2


def test_batches_of_a_plan_are_its_draws():
    rounds = balanced([900, 4000, 20])
    plan = Plan(num_samples=4920, batch_size=70, seed=3, drawing=rounds)
    assert (plan.num_draws, plan.num_steps) == (4920, 71)
    draws = [plan.batch(2, step) for step in range(plan.num_steps)]
    whole = rounds.at(3, 2, 0, 4920)
    assert np.concatenate([draw.indices for draw in draws]).tolist() == whole.indices.tolist()
    assert np.concatenate([draw.passes for draw in draws]).tolist() == whole.passes.tolist()


def test_dropped_remainder_counts_the_draws():
    sizes = [1, 9, 1, 1]
    assert Plan(12, 12, drop_remainder=True, drawing=balanced(sizes)).num_steps == 1
    with pytest.raises(ValueError, match="batch_size=13 is more than the 12 samples"):
        Plan(12, 13, drop_remainder=True, drawing=balanced(sizes))
