"""Samples that were read once and are held in one array, as a source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from runner.errors import BadSampleError
from runner.labels import Labels
from runner.loaders.rows import BadSample
from runner.samples import Array, ArraySpec, Indices
from runner.sources.source import Source


@dataclass(frozen=True)
class HeldSamples:
    """The samples of `source`, read from `rows`, shape `(num_samples, *spec.shape)`. Never pickled: for threads.

    Rows of samples that are `bad`, by index, hold nothing; reading them fails as it did the first time.
    """

    source: Source
    rows: Array
    bad: Mapping[int, BadSample] = field(default_factory=dict)

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
        self._refuse((index,))
        if out is None:
            copy: Array = self.rows[index].copy()
            return copy
        out[...] = self.rows[index]
        return out

    def read_many(self, indices: Indices, out: Array) -> None:
        """Copy the rows at `indices` to those of `out`."""
        self._refuse(indices.tolist())
        # mode="clip" writes straight into `out`; the default buffers it first (half as fast).
        np.take(self.rows, indices, axis=0, out=out, mode="clip")

    def _refuse(self, indices: Iterable[int]) -> None:
        for bad in filter(None, map(self.bad.get, indices)) if self.bad else ():
            raise BadSampleError(bad.name, bad.reason)
