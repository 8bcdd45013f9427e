"""Independent streams of random numbers from one user seed.

Each stream hashes the seed together with its purpose and position: the order of epoch 3 is
`derive(seed, Purpose.ORDER, 3)`. Seed and keys are mixed, never added: a sum would give (seed 5, epoch 1) and
(seed 1, epoch 5) the same stream.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

KEY_LIMIT = 2**64
"""Keys are below this."""


class Purpose(IntEnum):
    """Purpose of a stream. Numbers are never reused: otherwise old runs would repeat with other samples."""

    ORDER = 0
    """The order of one epoch; keyed by the epoch."""

    AUGMENT = 1
    """PhaseAugmentation of one training image; keyed by the pass and the sample's index."""

    TRANSFORM = 2
    """Random numbers for the user's transform of a sample; keyed by the pass and the sample's index."""

    SEARCH = 3
    """Values that a search tries; keyed by the trial."""

    SUBSTITUTE = 4
    """Substitutes for a sample that cannot be read; keyed by its index."""

    BLOCKS = 5
    """The order of an epoch's blocks (`loader.order=blocks`); keyed by the epoch."""

    WINDOW = 6
    """The order of the samples in a window of blocks; keyed by the epoch and the window."""

    ROUND = 7
    """The order of the classes in a round (`loader.balance`); hashed with the round."""

    CLASS_PASS = 8
    """The order of a class's samples (`loader.balance`); hashed with the class and the pass."""

    DRAW_TABLE = 9
    """The order in which weights are added up (`loader.draw_by`)."""

    DRAW_START = 10
    """Where in the sum of the weights an epoch starts (`loader.draw_by`); keyed by the epoch."""

    ERASE = 11
    """The noise in the erased rectangle of one training image; keyed by the pass and the sample's index."""

    MIX = 12
    """How the samples of a batch are mixed (`data.augment.mixup`, `cutmix`); keyed by the pass and the step."""

    AUGMENT_TRANSFORM = 13
    """Random numbers for the user's augmentation of a sample; keyed by the pass and the sample's index."""


def derive(seed: int, purpose: Purpose, *keys: int) -> np.random.SeedSequence:
    """The stream of a seed, a purpose and a position; never changes between versions.

    Raises `ValueError` for a negative seed and for keys outside 0 … 2**64 - 1.

    >>> derive(5, Purpose.ORDER, 1).generate_state(2).tolist()
    [1658832577, 2487727487]
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    # `SeedSequence([5, 1])` and `SeedSequence([5, 1, 0])` are one stream, since short entropy is padded with zeros;
    # a `spawn_key` is separate from the padding (numpy#16551).
    return np.random.SeedSequence(seed, spawn_key=(purpose, *(word for key in keys for word in _halves(key))))


def _halves(key: int) -> tuple[int, int]:
    """Low and high 32 bits. `SeedSequence` treats a spawn key of (2**32,) as (0, 1), so every key has two words."""
    if not 0 <= key < KEY_LIMIT:
        raise ValueError(f"keys must be from 0 to 2**64 - 1, got {key}")
    return key % 2**32, key // 2**32
