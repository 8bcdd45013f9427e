"""Many permutations at once: positions of different lengths, each under a key of its own, enciphered in one call.

The cipher is that of `permutation`. A permutation that is used for one or two positions costs more to set up than to
compute, so nothing is set up here: the keys of all rounds are hashed from one number per position.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from runner.batch import Indices
from runner.loaders.permutation import (
    MULTIPLIER_1,
    MULTIPLIER_2,
    ROUNDS,
    ROUNDS_SMALL,
    SMALL,
    Uint64Array,
    round_hash,
)

STEP = np.uint64(0x9E3779B97F4A7C15)
"""What SplitMix64 adds to its state for each number: 2**64 divided by the golden ratio, made odd."""

SHIFT_1, SHIFT_2, SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)


def mixed(words: Uint64Array) -> Uint64Array:
    """A hash of each word that changes about half of the bits for any change of one: the finaliser of SplitMix64."""
    words = words ^ (words >> SHIFT_1)
    words *= MULTIPLIER_1
    words ^= words >> SHIFT_2
    words *= MULTIPLIER_2
    words ^= words >> SHIFT_3
    return words


def keyed(key: np.uint64, *columns: Indices) -> Uint64Array:
    """A hash of `key` and of the numbers in each row of `columns`, arrays that broadcast, int64."""
    words = np.asarray(key, np.uint64).reshape(1)
    for column in columns:
        words = mixed(column.astype(np.uint64) * STEP + words)
    return words


@dataclass(frozen=True, eq=False)
class Permutations:
    """Permutations of `range(lengths[i])` for any number i and any key, computed position by position."""

    lengths: Indices

    def __call__(self, numbers: Indices, keys: Uint64Array, positions: Indices) -> Indices:
        """The value at each position, below `lengths[numbers]`, of the permutation of that length and key.

        All arrays have shape `(n,)`; equal number and key mean the same permutation.
        """
        values = positions.astype(np.uint64)
        is_small = self.lengths[numbers] <= SMALL
        for rows, num_rounds in ((np.flatnonzero(is_small), ROUNDS_SMALL), (np.flatnonzero(~is_small), ROUNDS)):
            while len(rows):
                number = numbers[rows]
                values[rows] = self._permute(number, keys[rows], values[rows], num_rounds)
                rows = rows[values[rows] >= self._lengths[number]]  # cycle walking, as in `Permutation`
        return values.view(np.int64)

    def _permute(self, numbers: Indices, keys: Uint64Array, values: Uint64Array, num_rounds: int) -> Uint64Array:
        """All rounds, once."""
        bits, heights, masks = self._bits[numbers], self._heights[numbers], self._masks[numbers]
        left, right = values >> bits, values & masks
        for number in range(num_rounds):
            keys = keys + STEP
            if number % 2 == 0:
                left += round_hash(right, mixed(keys))
                left -= left // heights * heights
            else:
                right ^= round_hash(left, mixed(keys)) & masks
        return left << bits | right

    @cached_property
    def _lengths(self) -> Uint64Array:
        return self.lengths.astype(np.uint64)

    @cached_property
    def _bits(self) -> Uint64Array:
        return np.array([(length - 1).bit_length() // 2 for length in self.lengths.tolist()], np.uint64)

    @cached_property
    def _masks(self) -> Uint64Array:
        return (np.uint64(1) << self._bits) - np.uint64(1)

    @cached_property
    def _heights(self) -> Uint64Array:
        return (self._lengths + self._masks) >> self._bits
