"""A seeded permutation of range(n), computed position by position in O(1) memory, for n from 1 to 2**63.

A shuffled list of ten billion samples takes 80 GB; this takes none. The method is the generalised Feistel cipher with
cycle walking of J. Black and P. Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002. A position is split into
two digits (left, right) of range(height) x range(2**bits). Each round adds a keyed hash of one digit to the other,
modulo height on the left and by xor on the right. A result outside range(n) goes through all rounds again until it is
inside. Here height x 2**bits exceeds n by a share of about 2/sqrt(n), so few positions repeat.

It shuffles; it is not cryptography.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from runner.batch import Indices

Uint64Array = NDArray[np.uint64]

MAX_LENGTH = 2**63
"""Positions are int64, so sums in `round_hash` and `_permute` stay below 2**64."""

SMALL = 4096
# Rounds, by tests of where pairs of neighbours go (tests/loaders/test_permutation.py): above `SMALL`, five are enough.
# Below, a digit has few values and each round moves little: n = 8 still shows a pattern after 16.
ROUNDS, ROUNDS_SMALL = 8, 24

# Multipliers and inner shift of "Mix13", the finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable
# Pseudorandom Number Generators", OOPSLA 2014, after D. Stafford, "Better Bit Mixing", 2011).
MULTIPLIER_1, MULTIPLIER_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
INNER_SHIFT = np.uint64(27)
# The lowest bits of a product are the weakest. 48 bits remain, so none of up to 2**32 remainders modulo height is more
# than 2**-16 too likely.
WEAK_BITS = np.uint64(16)


@dataclass(frozen=True)
class Permutation:
    """A permutation of range(length): calling it maps positions to values.

    `keys` has one number below 2**64 per round. Raises `ValueError` for a length outside 1 … 2**63.
    """

    length: int
    keys: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.length <= MAX_LENGTH:
            raise ValueError(f"length must be from 1 to 2**63, got {self.length}")

    @classmethod
    def seeded(cls, length: int, seeds: np.random.SeedSequence) -> Self:
        """The permutation of a stream of seeds, with as many rounds as the length needs.

        >>> Permutation.seeded(6, np.random.SeedSequence(1))(np.arange(6)).tolist()
        [3, 2, 5, 4, 1, 0]
        """
        words = seeds.generate_state(ROUNDS if length > SMALL else ROUNDS_SMALL, np.uint64)
        return cls(length, tuple(words.tolist()))

    def __call__(self, positions: Indices) -> Indices:
        """The values at these positions, of the same shape, int64.

        Raises `IndexError` for a position outside range(length).
        """
        words = np.asarray(positions, np.int64).astype(np.uint64).ravel()
        self._check(words)
        values = self._permute(words)
        outside = np.flatnonzero(values >= self.length)
        while len(outside):
            values[outside] = self._permute(values[outside])
            outside = outside[values[outside] >= self.length]
        return values.view(np.int64).reshape(np.shape(positions))

    def _check(self, words: Uint64Array) -> None:
        # A negative position is at least 2**63 as uint64, so one comparison finds it too.
        wrong = words >= self.length
        if wrong.any():
            raise IndexError(f"position must be from 0 to {self.length - 1}, got {words[wrong].view(np.int64)[0]}")

    def _permute(self, values: Uint64Array) -> Uint64Array:
        """All rounds, once. `values`, shape `(n,)`, are in the domain of the digits, so they may exceed the length."""
        num_bits = (self.length - 1).bit_length() // 2
        bits, mask = np.uint64(num_bits), np.uint64(2**num_bits - 1)
        height = np.uint64(-(-self.length // 2**num_bits))
        left, right = values >> bits, values & mask
        for number, key in enumerate(self.keys):
            if number % 2 == 0:
                left += round_hash(right, key)
                left -= left // height * height  # half the time of `%`: NumPy optimises only division
            else:
                right ^= round_hash(left, key) & mask
        return left << bits | right


def round_hash(digits: Uint64Array, key: int | Uint64Array) -> Uint64Array:
    """The round function: a 48-bit hash of each digit. Products wrap around modulo 2**64 by design."""
    hashed = digits + np.uint64(key)
    hashed *= MULTIPLIER_1
    hashed ^= hashed >> INNER_SHIFT
    hashed *= MULTIPLIER_2
    hashed >>= WEAK_BITS
    return hashed
