"""Draw: the samples of a batch, and the pass of each.

Whatever chance does to a sample is keyed by (seed, pass, sample). The pass says how often the sample has been drawn
before, so a sample that an epoch holds twice is augmented in two ways. In an epoch that holds each sample once, the
pass of all is the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np

from runner.batch import Indices

KEPT_PASSES = 32
"""Passes whose arrays are kept: those of the batches that a few loaders read ahead."""


# Not frozen: that would take as long again as all of `of_pass`, which is called for every batch.
@dataclass(slots=True, eq=False)
class Draw:
    """The samples at `indices` of a split, each in its pass: two arrays of shape `(size,)`, int64.

    The array of passes may be shared, and is never written to.

    >>> draw = Draw.of_pass(np.array([3, 1, 4]), 2)[1:]
    >>> draw.indices.tolist(), draw.passes.tolist()
    ([1, 4], [2, 2])
    """

    indices: Indices
    passes: Indices

    @classmethod
    def of_pass(cls, indices: Indices, number: int) -> Self:
        """The samples at `indices`, all in pass `number`."""
        return cls(indices, _alike(number, len(indices)))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Any) -> Draw:
        """The draws of these rows: a slice, a mask, or the numbers of rows."""
        return Draw(self.indices[rows], self.passes[rows])


@lru_cache(maxsize=KEPT_PASSES)  # filling 32 numbers takes longer than planning them
def _alike(number: int, size: int) -> Indices:
    """`size` times `number`, in the memory of one; read-only."""
    return np.broadcast_to(np.uint64(number).astype(np.int64), (size,))
