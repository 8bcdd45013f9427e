"""Which samples are held out of training, by fraction.

How a table or a partition may call the splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from runner.batch import SPLITS, Indices

KEY_BYTES = 64
"""BLAKE2b's longest key (RFC 7693), which holds every seed below 2**512."""

LIMIT = b"limit"
"""What keeps the hash that limits a split apart from the one that made it."""


def split_by_fraction(ids: Sequence[str], *, validation: float, test: float, seed: int) -> dict[str, Indices]:
    """The indices of each split, ascending, shape `(n,)`, int64: `train`, and the splits whose fraction is above 0.

    A keyed hash of the id alone puts each sample at a point of [0, 1): the first `validation` of that range are the
    validation split, the last `test` are the test split, what lies between is for training. So no sample moves
    when others come or go, in whatever order they stand, and changing one fraction leaves the other split as it is;
    raising it only takes samples from training.

    The price: shares hold in expectation, overall and within each class. With n samples expect a share to be off by
    up to 2 sqrt(share (1 - share) / n), and a split of very few samples to be empty, training too: the caller
    must look.

    Raises `ValueError` unless both fractions are from 0 to below 1 and leave something to train on.

    >>> parts = split_by_fraction(["a.png", "b.png", "c.png", "d.png"], validation=0.5, test=0.0, seed=0)
    >>> {split: indices.tolist() for split, indices in parts.items()}
    {'train': [1, 2], 'validation': [0, 3]}
    """
    _check(validation, test, seed)
    points = _points(ids, seed)
    held_out = {"validation": points < validation, "test": points >= 1 - test}
    train = ~(held_out["validation"] | held_out["test"])
    chosen = {"train": train} | {split: held_out[split] for split in _asked_for(validation=validation, test=test)}
    return {split: np.flatnonzero(members).astype(np.int64) for split, members in chosen.items()}


def choose(ids: Sequence[str], most: int, seed: int) -> Indices:
    """The indices of at most `most` ids, ascending, shape `(n,)`, int64.

    A keyed hash of each id chooses: the same ones in whatever order they stand, of each class its share in
    expectation, and those of a smaller number stay among those of a larger one. Which split an id is in has no say.
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
            f"validation + test must be below 1, got {validation} + {test}: nothing is left to train on; lower one"
        )
    if not 0 <= seed < 2 ** (8 * KEY_BYTES):
        raise ValueError(f"seed must be from 0 to 2**{8 * KEY_BYTES} - 1, got {seed}")


def _asked_for(**fractions: float) -> Iterable[str]:
    return (split for split, fraction in fractions.items() if fraction > 0)


def _points(ids: Sequence[str], seed: int, purpose: bytes = b"") -> NDArray[np.float64]:
    """One point of [0, 1) per id: the upper 53 bits of 64 of its hash, as many as a float64 holds exactly."""
    key = seed.to_bytes(KEY_BYTES, "little")
    # A path that is no UTF-8 reaches Python with surrogates in it; each such id must count as well.
    digests = (
        blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=key, person=purpose).digest() for name in ids
    )
    words = np.fromiter(digests, "S8", len(ids)).view("<u8")
    return (words >> np.uint64(11)) * np.float64(2**-53)


SPLIT_NAMES = {**{split: split for split in SPLITS}, "val": "validation"}
"""The split by each of its names."""

EXPECTED = "train, validation (or val) and test"
