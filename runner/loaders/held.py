"""Samples that were read once and are held in one array, as a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.labels import Labels
from runner.samples import Array, ArraySpec
from runner.sources.source import Source


@dataclass(frozen=True)
class HeldSamples:
    """The samples of `source`, read from `rows`, shape `(num_samples, *spec.shape)`. Never pickled: for threads."""

    source: Source
    rows: Array

    @property
    def ids(self) -> Sequence[str]:
        """The source's own."""
        return self.source.ids

    @property
    def labels(self) -> Labels:
        """The source's own."""
        return self.source.labels

    @property
    def spec(self) -> ArraySpec:
        """The source's own."""
        return self.source.spec

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int, out: Array | None = None) -> Array:
        """A copy of row `index`."""
        if out is None:
            copy: Array = self.rows[index].copy()
            return copy
        out[...] = self.rows[index]
        return out
