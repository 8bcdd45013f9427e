"""Members: which samples belong to each class, or to each part, in at most 4 bytes a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from runner.batch import Array, Indices

RADIX_CLASSES = 2**16
"""Numbers below this are sorted in linear time by NumPy, as uint16."""


@dataclass(frozen=True, eq=False)
class Members:
    """The samples of numbered classes: class `c` has those from `firsts[c]` to `firsts[c + 1]`, perhaps none.

    `samples` lists them class by class, shape `(samples,)`; None if the classes follow each other in the source.

    >>> members = Members.of_codes(np.array([1, 0, 1, 1]), 3)
    >>> members.sizes.tolist(), members.at(np.array([0, 1, 1]), np.array([0, 0, 2])).tolist()
    ([1, 3, 0], [1, 0, 3])
    """

    firsts: Indices
    samples: NDArray[np.integer] | None = None

    @classmethod
    def of_codes(cls, codes: Array, num_classes: int) -> Self:
        """The members of each class, from the class code of each sample."""
        narrow = codes.astype(np.uint16) if num_classes <= RADIX_CLASSES else codes
        samples: NDArray[np.integer] = narrow.argsort(kind="stable")
        samples = samples.astype(np.uint32 if len(codes) < 2**32 else np.int64)
        counts = np.bincount(narrow, minlength=num_classes)
        return cls(np.cumsum([0, *counts], dtype=np.int64), samples)

    @classmethod
    def of_sizes(cls, sizes: Sequence[int]) -> Self:
        """Parts of these sizes that follow each other."""
        return cls(np.cumsum([0, *sizes], dtype=np.int64))

    def __len__(self) -> int:
        return int(self.firsts[-1])

    @cached_property
    def sizes(self) -> Indices:
        """The number of samples of each class."""
        return np.diff(self.firsts)

    def alike(self, sample: int) -> Indices:
        """All samples of the class of `sample`."""
        place = sample if self.samples is None else int(np.flatnonzero(self.samples == sample)[0])
        number = int(np.searchsorted(self.firsts, place, side="right")) - 1
        places = np.arange(self.firsts[number], self.firsts[number + 1])
        return places if self.samples is None else self.samples[places].astype(np.int64)

    def at(self, classes: Indices, places: Indices) -> Indices:
        """The samples at these places within these classes, int64."""
        positions = self.firsts[classes] + places
        return positions if self.samples is None else self.samples[positions].astype(np.int64)
