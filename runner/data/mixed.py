"""Mixed: the samples of several parts as one source, each id with the name of its part in front; also as packed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from runner.batch import Indices
from runner.data.ids import Ids
from runner.data.source import Source
from runner.data.views import Joined, Selection, Wrapper
from runner.fields import Values


@dataclass(frozen=True)
class Prefixed(Wrapper):
    """The samples of `source`, whose ids begin with `prefix`."""

    prefix: str

    @cached_property
    def ids(self) -> Sequence[str]:
        """The source's ids behind the prefix."""
        return Ids(self.prefix + name for name in self.source.ids)


@dataclass(frozen=True)
class Mixed(Joined):
    """The samples of the parts `names`, one part after the other; `slots` as in `PartCodes`."""

    names: tuple[str, ...]
    slots: tuple[int, ...] = ()

    @classmethod
    def of(cls, parts: dict[str, Source], slots: tuple[int, ...] = ()) -> Mixed:
        """The samples of `parts`, which have the same spec and the same heads."""
        return cls(tuple(Prefixed(source, f"{name}/") for name, source in parts.items()), tuple(parts), slots)

    def read_many(self, indices: Indices, out: Values) -> None:
        """Read the samples at `indices` into the rows of `out`, those of a part in one call."""
        numbers = np.searchsorted(self._ends, indices, side="right")
        for number in np.unique(numbers).tolist():
            rows, start = np.flatnonzero(numbers == number), int(self._ends[number]) - len(self.sources[number])
            if len(rows) == len(indices):
                self.sources[number].read_many(indices - start, out)
                return
            block = out[rows]
            self.sources[number].read_many(indices[rows] - start, block)
            out[rows] = block

    @property
    def codes(self) -> Indices:
        """The number of each sample's part among `names`, shape `(samples,)`."""
        return np.repeat(np.arange(len(self.sources)), [len(source) for source in self.sources])


@dataclass(frozen=True)
class PackedMix(Wrapper):
    """The samples of a packed mix, whose ids say what part each is of; `slots` as in `PartCodes`."""

    names: tuple[str, ...]
    slots: tuple[int, ...]

    @classmethod
    def of(cls, source: Source, parts: Mapping[str, Mapping[str, Any]]) -> PackedMix:
        """The samples of `source`, given the settings of its parts."""
        return cls(source, tuple(parts), slots_of([part.get("share") for part in parts.values()]))

    @cached_property
    def codes(self) -> Indices:
        """The number of each sample's part among `names`, shape `(samples,)`."""
        numbers = {name: number for number, name in enumerate(self.names)}
        return np.fromiter((numbers[name.partition("/")[0]] for name in self.ids), np.int64, len(self))


@dataclass(frozen=True)
class PartCodes:
    """The part of each sample of a source: its number among `names`.

    `slots` are the draws of each part in a round of training; none if each sample is drawn once.
    """

    names: tuple[str, ...]
    codes: Indices
    slots: tuple[int, ...] = ()


def part_codes(source: Source) -> PartCodes | None:
    """The parts of a source that is a mix, or a selection of one, or one with other labels; None for others."""
    if isinstance(source, Mixed | PackedMix):
        return PartCodes(source.names, source.codes, source.slots)
    if isinstance(source, Selection) and (found := part_codes(source.source)) is not None:
        return PartCodes(found.names, found.codes[source.indices], found.slots)
    return part_codes(source.source) if isinstance(source, Wrapper) else None


def slots_of(shares: Sequence[float | None]) -> tuple[int, ...]:
    """Draws of each part in a round, as few as its share allows; empty if one has none.

    >>> slots_of([0.7, 0.3]), slots_of([2, 1]), slots_of([0.5, None])
    ((7, 3), (2, 1), ())
    """
    exact = [Fraction(str(share)) for share in shares if share is not None]
    if len(exact) < len(shares):
        return ()
    whole = [int(share * math.lcm(*(one.denominator for one in exact))) for share in exact]
    return tuple(number // math.gcd(*whole) for number in whole)
