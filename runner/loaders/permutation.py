"""A seeded permutation of range(n), computed position by position in O(1) memory, for n from 1 to 2**63.

Shuffling a list of ten billion samples takes 80 GB; enciphering a position takes none. The method is the
generalised Feistel cipher with cycle walking of J. Black and P. Rogaway, "Ciphers with Arbitrary Finite Domains",
CT-RSA 2002: a position is split into two digits (left, right) of range(height) x range(2**bits); each round adds a
keyed hash of the one digit to the other, modulo height on the left and by xor on the right; what lands beyond n is
enciphered again until it lands inside. Here height x 2**bits exceeds n by about 2/sqrt(n) of it, so few positions
walk.

This is no cryptography: it scatters, it hides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from runner.batch import Indices

Words = NDArray[np.uint64]

MAX_LENGTH = 2**63
"""Positions are int64; sums in `_mixed` and `_enciphered` then stay below 2**64 where a carry would be lost."""

SMALL = 4096
# Rounds needed, by tests of where pairs of neighbours go (tests/test_cipher.py): above `SMALL` five are clean. Below,
# a digit has few values and each round moves little: n = 8 shows a trace after 16.
ROUNDS, ROUNDS_SMALL = 8, 24

# Multipliers and inner shift of "Mix13", the finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable
# Pseudorandom Number Generators", OOPSLA 2014, after D. Stafford, "Better Bit Mixing", 2011).
MULTIPLIER_1, MULTIPLIER_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
INNER_SHIFT = np.uint64(27)
# The lowest bits of a product depend on the fewest; 48 bits are left, so that none of up to 2**32 remainders modulo
# height is more than 2**-16 too likely.
WEAK_BITS = np.uint64(16)


@dataclass(frozen=True)
class Permutation:
    """A permutation of range(length): calling it maps positions to values.

    `keys` holds one word below 2**64 per round. Raises `ValueError` for a length outside 1 … 2**63.
    """

    length: int
    keys: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.length <= MAX_LENGTH:
            raise ValueError(f"length must be from 1 to 2**63, got {self.length}")

    @classmethod
    def seeded(cls, length: int, seeds: np.random.SeedSequence) -> Self:
        """The permutation of one stream of seeds, with as many rounds as its length needs.

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
        values = self._enciphered(words)
        outside = np.flatnonzero(values >= self.length)
        while len(outside):
            values[outside] = self._enciphered(values[outside])
            outside = outside[values[outside] >= self.length]
        return values.view(np.int64).reshape(np.shape(positions))

    def _check(self, words: Words) -> None:
        # As a word a negative position is at least 2**63, so one comparison finds it too.
        wrong = words >= self.length
        if wrong.any():
            raise IndexError(f"position must be from 0 to {self.length - 1}, got {words[wrong].view(np.int64)[0]}")

    def _enciphered(self, values: Words) -> Words:
        """All rounds, once. `values`, of shape (n,), lie in the digits' domain: they may exceed the length."""
        num_bits = (self.length - 1).bit_length() // 2
        bits, mask = np.uint64(num_bits), np.uint64(2**num_bits - 1)
        height = np.uint64(-(-self.length // 2**num_bits))
        left, right = values >> bits, values & mask
        for number, key in enumerate(self.keys):
            if number % 2 == 0:
                left += _mixed(right, key)
                left -= left // height * height  # half of the time `%` takes: NumPy has fast division only
            else:
                right ^= _mixed(left, key) & mask
        return left << bits | right


def _mixed(digits: Words, key: int) -> Words:
    """The round function: a hash of each digit, of 48 bits. Products wrap around modulo 2**64, as they should."""
    mixed = digits + np.uint64(key)
    mixed *= MULTIPLIER_1
    mixed ^= mixed >> INNER_SHIFT
    mixed *= MULTIPLIER_2
    mixed >>= WEAK_BITS
    return mixed
