"""How one user seed becomes independent streams of random numbers.

Everything random hashes the seed together with what it is for and where it stands: the order of epoch 3 is
`derive(seed, Purpose.ORDER, 3)`. Seed and keys are mixed, never added: a sum gives (seed 5, epoch 1) and
(seed 1, epoch 5) one stream.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

KEY_LIMIT = 2**64
"""Keys stay below this."""


class Purpose(IntEnum):
    """What a stream is for. A number is never used again, or old runs would repeat with other samples."""

    ORDER = 0
    """The order of one epoch; keyed by the epoch."""

    AUGMENT = 1
    """How one training image is augmented; keyed by the epoch and the sample's index."""

    TRANSFORM = 2
    """The random numbers of the user's own change of a sample; keyed by the epoch and the sample's index."""

    SEARCH = 3
    """The values a search tries; keyed by the trial."""

    SUBSTITUTE = 4
    """The samples tried in the place of one that cannot be read; keyed by its index."""


def derive(seed: int, purpose: Purpose, *keys: int) -> np.random.SeedSequence:
    """The stream of one seed (any from 0 on), purpose and position; the same ones give the same stream for ever.

    Raises `ValueError` for a negative seed and for keys outside 0 … 2**64 - 1.

    >>> derive(5, Purpose.ORDER, 1).generate_state(2).tolist()
    [1658832577, 2487727487]
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    # `SeedSequence([5, 1])` and `SeedSequence([5, 1, 0])` are one stream, since short entropy is padded with zeros;
    # a `spawn_key` is kept apart from the padding (numpy#16551).
    return np.random.SeedSequence(seed, spawn_key=(purpose, *(word for key in keys for word in _words(key))))


def _words(key: int) -> tuple[int, int]:
    """Low and high half. `SeedSequence` takes a spawn key of (2**32,) for (0, 1): so every key gets two words."""
    if not 0 <= key < KEY_LIMIT:
        raise ValueError(f"keys must be from 0 to 2**64 - 1, got {key}")
    return key % 2**32, key // 2**32
