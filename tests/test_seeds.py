"""One seed gives streams that share nothing."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.seeds import Purpose, derive

SEEDS = st.integers(0, 2**128 - 1)
KEYS = st.lists(st.integers(0, 2**64 - 1), max_size=3)


def words(seed, *keys):
    return tuple(derive(seed, Purpose.ORDER, *keys).generate_state(4, np.uint64).tolist())


def test_derive_golden():
    # Changes only with a major version: every order of every run follows from these words.
    assert words(0) == (8668861027912758289, 14584187760040447831, 7402292003153977891, 8042076608462446761)
    assert words(5, 1) == (10684708199684097729, 9740052045886992426, 12404981210847327645, 3428771301672048244)
    assert words(2**100, 3, 2**40) == (
        340059346567402937,
        11072736150205410455,
        12454809896450397064,
        10538152209994371295,
    )


@given(SEEDS, KEYS)
def test_derive_repeats(seed, keys):
    assert words(seed, *keys) == words(seed, *keys)


@given(SEEDS, KEYS, SEEDS, KEYS)
def test_derive_separates_all_inputs(seed, keys, other, other_keys):
    assert (words(seed, *keys) == words(other, *other_keys)) == ((seed, keys) == (other, other_keys))


def test_derive_separates_neighbours():
    streams = {words(seed, epoch) for seed, epoch in product(range(50), range(50))}
    assert len(streams) == 50 * 50


def test_derive_does_not_add_seed_and_epoch():
    assert len({words(5, 1), words(1, 5), words(6, 0), words(0, 6), words(3, 3)}) == 5


def test_derive_counts_trailing_zeros():
    assert len({words(5, 1), words(5, 1, 0), words(5, 1, 0, 0), words(5)}) == 4


def test_derive_takes_a_large_key_for_one_key():
    assert words(5, 2**32) != words(5, 0, 1)


def test_derive_takes_any_seed():
    assert words(10**100) != words(10**100 + 1)


def test_derive_refuses_a_negative_seed():
    with pytest.raises(ValueError, match=r"^seed must be at least 0, got -1$"):
        derive(-1, Purpose.ORDER)


@pytest.mark.parametrize("key", [-1, 2**64])
def test_derive_refuses_a_key_out_of_range(key):
    with pytest.raises(ValueError, match=rf"^keys must be from 0 to 2\*\*64 - 1, got {key}$"):
        derive(0, Purpose.ORDER, key)
