"""The cipher permutes every length, and the number of rounds it ships with is enough.

The statistical tests run on fixed seeds. Each also runs with too few rounds and must then fail: it can tell.
"""

from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.loaders.permutation import MAX_LENGTH, ROUNDS, ROUNDS_SMALL, SMALL, Permutation
from runner.seeds import Purpose, derive

LENGTHS = st.integers(1, 63).flatmap(lambda bits: st.integers(1, 2**bits))
IMPOSSIBLE = 1e-12
PLAUSIBLE = 1e-3


def seeded(length, seed=0, epoch=0):
    return Permutation.seeded(length, derive(seed, Purpose.ORDER, epoch))


def order(length, seed=0, epoch=0):
    return seeded(length, seed, epoch)(np.arange(length)).tolist()


@cache
def orders(length, rounds, count):
    """The orders of `count` epochs, shape `(count, length)`: of all epochs at once, each position with its own keys."""
    keys = [derive(0, Purpose.ORDER, epoch).generate_state(rounds, np.uint64) for epoch in range(count)]
    cipher = Permutation(length, tuple(np.repeat(keys, length, axis=0).T))
    values = cipher._permute(np.tile(np.arange(length, dtype=np.uint64), count))
    while (values >= length).any():
        values = np.where(values < length, values, cipher._permute(values))
    return values.astype(np.int64).reshape(count, length)


@pytest.mark.parametrize(("length", "rounds"), [(9, ROUNDS_SMALL), (33, ROUNDS_SMALL), (5000, ROUNDS)])
def test_orders_of_many_epochs_are_those_of_each(length, rounds):
    assert orders(length, rounds, 3).tolist() == [order(length, epoch=epoch) for epoch in range(3)]


def in_plain_python(permutation, position):
    """The definition, in integers that cannot overflow."""
    width = 1 << (permutation.length - 1).bit_length() // 2
    height = (permutation.length + width - 1) // width
    value = position
    while True:
        left, right = divmod(value, width)
        for number, key in enumerate(permutation.keys):
            mixed = ((right if number % 2 == 0 else left) + key) * 0xBF58476D1CE4E5B9 % 2**64
            mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64 >> 16
            left, right = ((left + mixed) % height, right) if number % 2 == 0 else (left, right ^ mixed % width)
        value = left * width + right
        if value < permutation.length:
            return value


def test_order_golden():
    # Changes only with a major version: everyone's runs would repeat with other batches.
    assert order(1) == [0]
    assert order(2) == [0, 1]
    assert order(10) == [8, 1, 3, 5, 0, 2, 9, 4, 7, 6]
    assert order(10, seed=1) == [2, 7, 5, 1, 9, 4, 0, 6, 8, 3]
    assert order(10, epoch=1) == [9, 4, 8, 1, 5, 2, 6, 7, 0, 3]
    assert seeded(SMALL)(np.arange(4)).tolist() == [38, 14, 997, 865]
    assert seeded(SMALL + 1)(np.arange(4)).tolist() == [1375, 561, 3365, 29]
    assert seeded(10**10)(np.array([0, 1, 10**10 - 1])).tolist() == [7603847699, 8628876126, 3296063719]
    assert seeded(MAX_LENGTH)(np.array([0, 1, MAX_LENGTH - 1])).tolist() == [
        9082302736331798256,
        1764725110641749903,
        2780781381397926906,
    ]


@pytest.mark.parametrize("lengths", [range(1, 150), range(150, 300), range(SMALL - 2, SMALL + 4)])
def test_order_holds_each_value_once(lengths):
    for length in lengths:
        assert sorted(order(length, seed=length)) == list(range(length))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 100_000), st.integers(0, 2**64))
def test_any_length_holds_each_value_once(length, seed):
    assert (np.bincount(order(length, seed), minlength=length) == 1).all()


@settings(deadline=None)
@given(LENGTHS, st.integers(0, 2**64), st.data())
def test_large_orders_stay_in_range(length, seed, data):
    first = data.draw(st.integers(0, length - 1))
    values = seeded(length, seed)(np.arange(first, min(first + 5000, length)))
    assert values.min() >= 0
    assert values.max() < length
    assert len(np.unique(values)) == len(values)


@settings(deadline=None)
@given(LENGTHS, st.integers(0, 2**64), st.data())
def test_values_equal_those_of_exact_integers(length, seed, data):
    positions = data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=4))
    permutation = seeded(length, seed)
    values = permutation(np.array(positions))
    assert values.tolist() == [in_plain_python(permutation, position) for position in positions]


@settings(deadline=None)
@given(LENGTHS, st.data())
def test_values_ignore_other_positions(length, data):
    positions = np.array(data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=20)))
    permutation = seeded(length)
    together = permutation(positions)
    assert together.tolist() == [int(permutation(position)) for position in positions]


def test_values_have_the_shape_of_the_positions():
    permutation = seeded(100)
    values = permutation(np.arange(6).reshape(2, 3))
    assert values.shape == (2, 3)
    assert values.dtype == np.int64
    assert permutation(np.array([], np.int64)).shape == (0,)
    assert permutation(np.array(3)).shape == ()


def test_positions_are_left_as_they_are():
    positions = np.arange(100)
    seeded(100)(positions)
    assert (positions == np.arange(100)).all()


@pytest.mark.parametrize("position", [-1, 10, 2**62, -(2**63)])
def test_position_out_of_range_is_named(position):
    with pytest.raises(IndexError, match=f"^position must be from 0 to 9, got {position}$"):
        seeded(10)(np.array([3, position]))


@pytest.mark.parametrize("length", [0, -5, MAX_LENGTH + 1])
def test_length_out_of_range_is_named(length):
    with pytest.raises(ValueError, match=rf"^length must be from 1 to 2\*\*63, got {length}$"):
        Permutation(length, (1, 2, 3))


def test_short_orders_take_more_rounds():
    assert len(seeded(SMALL).keys) == ROUNDS_SMALL
    assert len(seeded(SMALL + 1).keys) == ROUNDS


def p_of_positions(length, rounds):
    """How likely true shuffles send positions so unevenly to values over many epochs."""
    table, count = orders(length, rounds, 4000), 4000 / length
    sent = np.stack([np.bincount(column, minlength=length) for column in table.T])
    # Rows and columns have fixed sums: of the length**2 cells (length - 1)**2 are free.
    chi2 = ((sent - count) ** 2 / count).sum() * (length - 1) / length
    return float(stats.chi2.sf(chi2, (length - 1) ** 2))


def p_of_pairs(length, rounds):
    """How likely true shuffles send some pair of positions so unevenly to pairs of values (Bonferroni)."""
    table, pairs = orders(length, rounds, 4000), list(combinations(range(length), 2))
    apart = ~np.eye(length, dtype=bool).ravel()
    counts = [np.bincount(table[:, i] * length + table[:, j], minlength=length**2)[apart] for i, j in pairs]
    return min(1.0, len(pairs) * min(float(stats.chisquare(count).pvalue) for count in counts))


def p_of_orders(length, rounds):
    """How likely true shuffles give the possible orders so unevenly."""
    _, counts = np.unique(orders(length, rounds, 6000), axis=0, return_counts=True)
    possible = np.zeros(int(np.prod(range(1, length + 1))))
    possible[: len(counts)] = counts
    return float(stats.chisquare(possible).pvalue)


def p_of_differences(length, rounds, lag, bins=64):
    """How likely the steps from position x to x + lag differ so unevenly within true shuffles."""
    table = orders(length, rounds, 40)
    steps = (table[:, lag:] - table[:, :-lag]) % length
    expected = np.bincount(np.arange(1, length) * bins // length, minlength=bins) * steps.shape[1] / (length - 1)
    counts = np.stack([np.bincount(row * bins // length, minlength=bins) for row in steps])
    return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), (bins - 1) * len(counts)))


@pytest.mark.parametrize("length", [2, 5, 9, 33])
def test_positions_are_uniform(length):
    assert p_of_positions(length, ROUNDS_SMALL) > PLAUSIBLE


@pytest.mark.parametrize("length", [5, 9, 33])
def test_positions_show_two_rounds(length):
    assert p_of_positions(length, 2) < IMPOSSIBLE


@pytest.mark.parametrize("length", [8, 9, 12])
def test_pairs_are_uniform(length):
    assert p_of_pairs(length, ROUNDS_SMALL) > PLAUSIBLE


@pytest.mark.parametrize(("length", "rounds"), [(8, 2), (8, 4), (8, 8), (9, 2), (9, 4), (12, 2), (12, 4)])
def test_pairs_show_too_few_rounds(length, rounds):
    assert p_of_pairs(length, rounds) < IMPOSSIBLE


@pytest.mark.parametrize("length", [3, 4, 5])
def test_every_order_is_as_likely(length):
    assert p_of_orders(length, ROUNDS_SMALL) > PLAUSIBLE


@pytest.mark.parametrize(("length", "rounds"), [(3, 2), (4, 4), (5, 6)])
def test_orders_show_too_few_rounds(length, rounds):
    assert p_of_orders(length, rounds) < IMPOSSIBLE


@pytest.mark.parametrize(("length", "lag"), [(5000, 1), (5000, 63), (5000, 64), (5000, 128), (20000, 128)])
def test_differences_are_uniform(length, lag):
    assert p_of_differences(length, ROUNDS, lag) > PLAUSIBLE


@pytest.mark.parametrize("rounds", [2, 3, 4])
@pytest.mark.parametrize(("length", "lag"), [(5000, 64), (5000, 128), (20000, 128)])
def test_digit_lags_show_too_few_rounds(length, lag, rounds):
    assert p_of_differences(length, rounds, lag) < IMPOSSIBLE


def test_epochs_agree_only_by_chance():
    table = orders(1000, ROUNDS_SMALL, 400)
    agreements = [int((one == other).sum()) for one, other in pairwise(table)]
    # Two shuffles agree in one position on average, whatever their length, with variance 1: 4 sigma either way.
    assert abs(np.mean(agreements) - 1) < 4 / np.sqrt(len(agreements))
