"""Many permutations in one call: each is a permutation, and the cipher is that of a single one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.loaders.permutation import ROUNDS, ROUNDS_SMALL, SMALL, Permutation
from runner.loaders.permutations import STEP, Permutations, keyed, mixed

LENGTHS = st.lists(st.integers(1, 40) | st.integers(SMALL - 2, SMALL + 3) | st.integers(1, 2**40), min_size=1)


@settings(max_examples=40)
@given(LENGTHS, st.integers(0, 2**64 - 1), st.data())
def test_values_are_those_of_one_permutation(lengths, key, data):
    number = data.draw(st.integers(0, len(lengths) - 1))
    length, keys = lengths[number], np.array([key], np.uint64)
    places = data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=6))
    rounds = ROUNDS if length > SMALL else ROUNDS_SMALL
    steps = np.arange(1, rounds + 1, dtype=np.uint64) * STEP
    alone = Permutation(length, tuple(mixed(keys + steps).tolist()))
    numbers, repeated = np.full(len(places), number), np.repeat(keys, len(places))
    together = Permutations(np.array(lengths))(numbers, repeated, np.array(places))
    assert together.tolist() == alone(np.array(places)).tolist()


def test_mixed_lengths_and_keys_keep_apart():
    lengths = np.array([1, 2, 7, 30, SMALL + 1])
    numbers = np.repeat(np.arange(5), lengths)
    positions = np.concatenate([np.arange(length) for length in lengths])
    orders = [Permutations(lengths)(numbers, keyed(np.uint64(5), numbers, positions * 0 + turn), positions)
              for turn in range(2)]  # fmt: skip
    for number, length in enumerate(lengths.tolist()):
        assert all(sorted(order[numbers == number].tolist()) == list(range(length)) for order in orders)
    assert (orders[0][numbers == 4] != orders[1][numbers == 4]).mean() > 0.9


def test_keys_depend_on_every_number():
    grid = np.arange(50)
    keys = keyed(np.uint64(1), grid[:, None, None], grid[None, :, None], grid[None, None])
    assert len(np.unique(keys)) == 50**3
    assert keyed(np.uint64(2), grid)[0] != keyed(np.uint64(1), grid)[0]
