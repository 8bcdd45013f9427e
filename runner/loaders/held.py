"""Samples that were read once and are held in one array, as a source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from runner.batch import Array, Indices
from runner.data.views import Wrapping
from runner.errors import BadSampleError
from runner.loaders.rows import BadSample


@dataclass(frozen=True)
class HeldSamples(Wrapping):
    """The samples of `source`, read from `rows`, shape `(num_samples, *spec.shape)`. Never pickled: for threads.

    Rows of samples that are `bad`, by index, hold nothing; reading them fails as it did the first time.
    """

    rows: Array
    bad: Mapping[int, BadSample] = field(default_factory=dict)

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
