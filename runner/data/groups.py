"""Groups: samples of one patient, video or place, which must be in one split."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from runner.batch import Indices
from runner.data.strata import Strata
from runner.errors import DataError
from runner.messages import first_few

NAMED = 3
"""Groups and ids that a message names."""


@dataclass(frozen=True)
class Groups:
    """The group of each sample: `codes`, shape `(n,)`, int64, index `names`."""

    codes: Indices
    names: Sequence[str]

    @classmethod
    def of(cls, values: Collection[str]) -> Self:
        """The groups of samples by name.

        >>> Groups.of(["p2", "p1", "p2"])
        Groups(codes=array([0, 1, 0]), names=['p2', 'p1'])
        """
        numbers: dict[str, int] = {}
        codes = np.fromiter((numbers.setdefault(name, len(numbers)) for name in values), np.int64, len(values))
        return cls(codes, list(numbers))

    @classmethod
    def matched(cls, pattern: str, ids: Sequence[str]) -> Self:
        """The groups that the first group of a regular expression finds in each id.

        Raises `DataError` for ids that it does not match, or with nothing in that group.
        """
        search = re.compile(pattern).search
        found = [match[1] if (match := search(name)) else None for name in ids]
        wrong = [name for name, group in zip(ids, found, strict=True) if not group]
        if wrong:
            raise DataError(
                f"data.group_pattern={pattern} must find a group in each id, got none in {len(wrong):,} of "
                f"{len(ids):,}: {first_few(wrong[:NAMED], len(wrong))}"
            )
        return cls.of([group or "" for group in found])

    @property
    def sizes(self) -> Indices:
        """The number of samples of each group."""
        return np.bincount(self.codes, minlength=len(self.names))

    def strata(self, strata: Strata) -> Indices:
        """The stratum of each group: the one of most of its samples, of equally frequent ones the first by name."""
        num_strata = len(strata.names)
        pairs, counts = np.unique(self.codes * num_strata + strata.codes, return_counts=True)
        groups, codes = pairs // num_strata, pairs % num_strata
        by_name = np.empty(num_strata, np.int64)
        by_name[sorted(range(num_strata), key=strata.names.__getitem__)] = np.arange(num_strata)
        order = np.lexsort((by_name[codes], -counts, groups))
        first = np.flatnonzero(np.diff(groups[order], prepend=-1))
        most: Indices = codes[order][first]
        return most


def refuse_several_splits(groups: Mapping[str, Groups]) -> None:
    """Raise `DataError` for groups with samples in several of these splits."""
    splits: dict[str, list[str]] = {}
    for split, of_split in groups.items():
        for name in of_split.names:
            splits.setdefault(name, []).append(split)
    several = {name: where for name, where in splits.items() if len(where) > 1}
    if several:
        named = (f"{name!r} ({' and '.join(where)})" for name, where in list(several.items())[:NAMED])
        raise DataError(
            f"each group must be in one split of the data, got {len(several):,} in several: "
            f"{first_few(named, len(several))}; move their samples into one split, or leave the groups out"
        )
