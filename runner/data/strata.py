"""Strata: samples of one class, which splits share out evenly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runner.batch import Array, Indices
from runner.data.ids import names_at
from runner.data.labels import Head, Labels
from runner.data.points import Points, Words

JOINT = "\0"
"""Joins the names of a combination of classes; no name contains it."""

NONE = ""
"""The name of the stratum of samples without any class."""


@dataclass(frozen=True)
class Strata:
    """The stratum of each sample: `codes`, shape `(n,)`, int64, index `names`, none of which occurs twice."""

    codes: Indices
    names: tuple[str, ...]
    are_classes: bool = True
    """Whether each stratum is a class, not a combination of several columns."""

    @property
    def sizes(self) -> Indices:
        """The number of samples of each stratum."""
        return np.bincount(self.codes, minlength=len(self.names))


def strata_of(labels: Labels) -> Strata | None:
    """The classes of the samples; None if they have none.

    The stratum of a sample with several classes is the rarest of them. With several columns of classes, the strata are
    the combinations that occur.
    """
    columns = [
        _rarest(head, column) if column.ndim == 2 else _single(head, column)
        for head, column in zip(labels.heads, labels.columns, strict=True)
        if head.classifies and head.has_column
    ]
    if not columns:
        return None
    codes, names = columns[0]
    for more, others in columns[1:]:
        pairs, codes = np.unique(codes * len(others) + more, return_inverse=True)
        names = tuple(names[pair // len(others)] + JOINT + others[pair % len(others)] for pair in pairs.tolist())
    return Strata(codes, names, are_classes=len(columns) == 1)


def _single(head: Head, column: Array) -> tuple[Indices, tuple[str, ...]]:
    """One class per sample; a code of -1 is no class."""
    if len(column) and column.min() < 0:
        column = np.where(column < 0, len(head.class_names), column)
    return column, (*head.class_names, NONE)


def _rarest(head: Head, members: Array) -> tuple[Indices, tuple[str, ...]]:
    """The rarest class of each sample, of equally rare ones the first by name."""
    counts, names = members.sum(axis=0, dtype=np.int64).tolist(), head.class_names
    codes = np.full(len(members), len(names), np.int64)
    for code in sorted(range(len(names)), key=lambda code: (counts[code], names[code]), reverse=True):
        codes[members[:, code] > 0] = code
    return codes, (*names, NONE)


def sort_units(words: Words, codes: Indices, names: Sequence[str]) -> Indices:
    """The order of units by stratum, then by hash, then by name.

    A sort of one key, the stratum above the upper bits of the hash, takes a quarter of the time of a sort of two.
    """
    bits = np.uint64(int(codes.max(initial=0)).bit_length())
    keys = words >> bits
    if bits:
        keys |= codes.astype(np.uint64) << (np.uint64(64) - bits)
    order = np.argsort(keys)
    sorted_keys = keys[order]
    alike = np.flatnonzero(sorted_keys[1:] == sorted_keys[:-1])
    for run in np.split(alike, np.flatnonzero(np.diff(alike) > 1) + 1) if len(alike) else ():
        places = slice(int(run[0]), int(run[-1]) + 2)
        tied = order[places]
        named = zip(words[tied].tolist(), names_at(names, tied), tied.tolist(), strict=True)
        order[places] = [index for *_, index in sorted(named)]
    return order


def points_in_strata(sizes: Indices, offsets: Points) -> Points:
    """The point of each sample, (rank + u) / size of the stratum, for samples sorted by stratum.

    `sizes` are the samples of each stratum, `offsets` its u.
    """
    strata = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    placed = np.arange(len(strata), dtype=np.float64)
    placed -= (np.cumsum(sizes) - sizes)[strata]
    placed += offsets[strata]
    placed /= sizes[strata]
    return placed


def num_below(edge: float, sizes: Indices, offsets: Points) -> Indices:
    """How many samples of each stratum have a point below `edge`: those whose rank is below edge · size - u."""
    return np.clip(np.ceil(edge * sizes - offsets), 0, sizes).astype(np.int64)


def points_of_groups(sizes: Indices, codes: Indices, offsets: Points) -> Points:
    """The point of each group of `sizes` samples, for groups sorted by their stratum, `codes`; `offsets` as above."""
    ends = np.cumsum(sizes)
    of_strata = np.bincount(codes, weights=sizes, minlength=len(offsets))
    before = ends - sizes - (np.cumsum(of_strata) - of_strata)[codes]
    points: Points = (before + offsets[codes] * sizes) / of_strata[codes]
    return points
