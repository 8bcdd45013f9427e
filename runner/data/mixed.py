"""Mixed: the samples of several parts as one source, each id with the name of its part in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
    """The samples of the parts `names`, one part after the other."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, parts: dict[str, Source]) -> Mixed:
        """The samples of `parts`, which have the same spec and the same heads."""
        return cls(tuple(Prefixed(source, f"{name}/") for name, source in parts.items()), tuple(parts))

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
class PartCodes:
    """The part of each sample of a source: its number among `names`."""

    names: tuple[str, ...]
    codes: Indices


def part_codes(source: Source) -> PartCodes | None:
    """The parts of a source that is a mix, or a selection of one, or one with other labels; None for others."""
    if isinstance(source, Mixed):
        return PartCodes(source.names, source.codes)
    if isinstance(source, Selection) and (found := part_codes(source.source)) is not None:
        return PartCodes(found.names, found.codes[source.indices])
    return part_codes(source.source) if isinstance(source, Wrapper) else None
