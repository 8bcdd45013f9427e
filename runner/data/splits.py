"""Splits: samples held out from training by fraction, and the names of splits in tables and partitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from runner.batch import Indices

NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "development"),
    "test": ("test", "testing"),
}
"""Names of each split in folders, tables, partitions and arrays, in any case; the first is the split's own."""

SPLIT_NAMES = {name: split for split, names in NAMES.items() for name in names}
"""Splits by their names, in lower case."""

EXPECTED = "train, validation (or val) and test"

KEY_BYTES = 64
"""Length of BLAKE2b's longest key (RFC 7693): room for every seed below 2**512."""

LIMIT = b"limit"
"""Separates the hash that limits a split from the hash that made it."""


def split_of(name: object) -> str | None:
    """The split that `name` means; None if it means none.

    >>> split_of("Valid"), split_of("dev"), split_of("cats")
    ('validation', 'validation', None)
    """
    return SPLIT_NAMES.get(str(name).strip().casefold())


def split_by_fraction(ids: Sequence[str], *, validation: float, test: float, seed: int) -> dict[str, Indices]:
    """Indices of each split, ascending, shape `(n,)`, int64: `train`, and the splits whose fraction is above 0.

    A keyed hash of the id places each sample at a point of [0, 1). The first `validation` of that range is the
    validation split, the last `test` is the test split, and the rest is for training. A sample keeps its split when
    other samples are added, removed or reordered. Changing one fraction does not affect the other held-out split:
    raising it only takes samples from training.

    Shares are met in expectation, overall and within each class. With n samples a share may be off by about
    2 sqrt(share (1 - share) / n). Any split of few samples may be empty, training too: the caller must check.

    Raises `ValueError` unless both fractions are at least 0, below 1, and below 1 together.

    >>> parts = split_by_fraction(["a.png", "b.png", "c.png", "d.png"], validation=0.5, test=0.0, seed=0)
    >>> {split: indices.tolist() for split, indices in parts.items()}
    {'train': [1, 2], 'validation': [0, 3]}
    """
    _check(validation, test, seed)
    points = _points(ids, seed)
    held_out = {"validation": points < validation, "test": points >= 1 - test}
    train = ~(held_out["validation"] | held_out["test"])
    chosen = {"train": train} | {split: held_out[split] for split in _above_zero(validation=validation, test=test)}
    return {split: np.flatnonzero(members).astype(np.int64) for split, members in chosen.items()}


def choose(ids: Sequence[str], most: int, seed: int) -> Indices:
    """Indices of at most `most` ids, ascending, shape `(n,)`, int64.

    A keyed hash of each id selects them, so their order does not matter. Each class keeps its share in expectation. A
    larger `most` adds ids and removes none. The hash is independent of the one that makes the splits.
    """
    if len(ids) <= most:
        return np.arange(len(ids))
    order = np.argsort(_points(ids, seed, LIMIT), kind="stable")
    return np.sort(order[:most]).astype(np.int64)


def _check(validation: float, test: float, seed: int) -> None:
    for split, fraction in {"validation": validation, "test": test}.items():
        if not 0 <= fraction < 1:
            raise ValueError(f"{split} must be a fraction from 0 to below 1, got {fraction}")
    if validation + test >= 1:
        raise ValueError(
            f"validation + test must be below 1, got {validation} + {test}: no samples would be left; lower one"
        )
    if not 0 <= seed < 2 ** (8 * KEY_BYTES):
        raise ValueError(f"seed must be from 0 to 2**{8 * KEY_BYTES} - 1, got {seed}")


def _above_zero(**fractions: float) -> Iterable[str]:
    return (split for split, fraction in fractions.items() if fraction > 0)


def _points(ids: Sequence[str], seed: int, purpose: bytes = b"") -> NDArray[np.float64]:
    """One point of [0, 1) per id: the upper 53 bits of its 64-bit hash, which a float64 holds exactly."""
    key = seed.to_bytes(KEY_BYTES, "little")
    # A path that is not UTF-8 contains surrogates in Python.
    digests = (
        blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=key, person=purpose).digest() for name in ids
    )
    words = np.fromiter(digests, "S8", len(ids)).view("<u8")
    return (words >> np.uint64(11)) * np.float64(2**-53)
