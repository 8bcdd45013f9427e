"""Points: where a keyed hash places a sample, a group or a class in [0, 1)."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Points = NDArray[np.float64]

KEY_BYTES = 64
"""Length of BLAKE2b's longest key (RFC 7693): room for every seed below 2**512."""

LIMIT, LIMIT_STRATUM = b"limit", b"limit stratum"
"""Separate the hashes that limit a split from those that made it."""

STRATUM, GROUP = b"stratum", b"group"
"""Separate the hashes of classes and of groups from those of ids, which have no purpose."""


def hashed(names: Collection[str], seed: int, purpose: bytes = b"") -> Words:
    """The 64-bit hash of each name, keyed by `seed`; hashes for another `purpose` are independent.

    Raises `ValueError` for a seed out of range.

    >>> hashed(["a.png", "b.png"], 0)
    array([ 2919859266744377152, 14772261160308479016], dtype=uint64)
    """
    if not 0 <= seed < 2 ** (8 * KEY_BYTES):
        raise ValueError(f"seed must be from 0 to 2**{8 * KEY_BYTES} - 1, got {seed}")
    key = seed.to_bytes(KEY_BYTES, "little")
    # A path that is not UTF-8 contains surrogates in Python.
    digests = (
        blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=key, person=purpose).digest()
        for name in names
    )
    return np.fromiter(digests, "S8", len(names)).view("<u8")


def points_of(words: Words) -> Points:
    """One point of [0, 1) per hash: its upper 53 bits, which a float64 holds exactly."""
    return (words >> np.uint64(11)) * np.float64(2**-53)
