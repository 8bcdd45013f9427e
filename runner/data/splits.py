"""Splits by fraction: which samples are held out from training, by a hash of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from runner.batch import Indices
from runner.data.groups import Groups
from runner.data.points import GROUP, LIMIT, LIMIT_STRATUM, STRATUM, hashed, points_of
from runner.data.shares import Codes, Shares
from runner.data.strata import Strata, num_below, points_in_strata, points_of_groups, sort_units


@dataclass(frozen=True)
class Divided:
    """The samples of each split: `train`, and the splits that have a share."""

    parts: dict[str, Indices]
    """Indices, ascending, shape `(n,)`, int64."""

    raised: dict[str, int] = field(default_factory=dict)
    """How many samples a split has beyond its share, because each class must have one."""


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
    return divide(ids, Shares(validation, test), seed).parts


def divide(
    ids: Sequence[str], shares: Shares, seed: int, strata: Strata | None = None, groups: Groups | None = None
) -> Divided:
    """Divide samples as `split_by_fraction` does; with `strata`, each stratum by itself; `groups` stay whole.

    Within a stratum the hashes only rank the samples. The point of a sample is (its rank + u) / size of the stratum,
    where u in [0, 1) is a keyed hash of the stratum's name. So each stratum gets its share, rounded down or, with the
    probability of the remainder, up. Where one sample is added, at most one other moves from training into each
    held-out split, or out of it, all of the same stratum. Strata that are classes keep one, as in `Shares.runs`.

    The point of a group is the hash of its name; with strata, (the samples of groups before it in the order of the
    hashes + u · its own) / those of all groups of the stratum, which is that of most of a group's samples. So shares
    are near what they should be.

    Raises `ValueError` for a seed that the hash cannot take.
    """
    if groups is not None:
        return Divided(_parts(_divide_groups(groups, shares, seed, strata)[groups.codes], shares))
    words = hashed(ids, seed)
    if strata is None:
        return Divided(_parts(shares.cut(points_of(words)), shares))
    order = sort_units(words, strata.codes, ids)
    del words  # 8 bytes a sample
    sizes, offsets = strata.sizes, points_of(hashed(strata.names, seed, STRATUM))
    runs = shares.runs(sizes, partial(num_below, sizes=sizes, offsets=offsets), keeps_one=strata.are_classes)
    codes = np.empty(len(order), np.int8)
    codes[order] = runs.splits()
    return Divided(_parts(codes, shares), runs.raised)


def _divide_groups(groups: Groups, shares: Shares, seed: int, strata: Strata | None) -> Codes:
    """The split of each group."""
    words = hashed(groups.names, seed, GROUP)
    if strata is None:
        return shares.cut(points_of(words))
    codes, offsets = groups.strata(strata), points_of(hashed(strata.names, seed, STRATUM))
    order = sort_units(words, codes, groups.names)
    codes, num_strata = codes[order], len(strata.names)
    placed = points_of_groups(groups.sizes[order], codes, offsets)
    runs = shares.runs(
        np.bincount(codes, minlength=num_strata),
        lambda edge: np.bincount(codes[placed < edge], minlength=num_strata),
        keeps_one=strata.are_classes,
    )
    splits = np.empty(len(order), np.int8)
    splits[order] = runs.splits()
    return splits


def choose(ids: Sequence[str], most: int, seed: int, strata: Strata | None = None) -> Indices:
    """Indices of at most `most` ids, ascending, shape `(n,)`, int64: those of the smallest points.

    Their order does not matter. With `strata` each has its share of `most`, rounded up or down; without, in
    expectation. A larger `most` adds ids and removes none. The hash is independent of the one that makes the splits.
    """
    if len(ids) <= most:
        return np.arange(len(ids))
    words = hashed(ids, seed, LIMIT)
    if strata is None:
        order = np.argsort(points_of(words), kind="stable")
    else:
        order = sort_units(words, strata.codes, ids)
        offsets = points_of(hashed(strata.names, seed, LIMIT_STRATUM))
        order = order[np.argsort(points_in_strata(strata.sizes, offsets), kind="stable")]
    return np.sort(order[:most]).astype(np.int64)


def _parts(codes: Codes, shares: Shares) -> dict[str, Indices]:
    return {split: np.flatnonzero(codes == number).astype(np.int64) for split, number in shares.splits.items()}
