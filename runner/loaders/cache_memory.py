"""`loader.cache=memory`: the arrays of one split in memory, which threads and processes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.loaders.assemble import allocate
from runner.loaders.shared_array import PRESENT, SharedArray


def memory_bytes(spec: ArraySpec, num_samples: int) -> int:
    """Bytes of memory the arrays of all samples take, once each was read."""
    return num_samples * (spec.num_bytes + PRESENT.itemsize)


class _Holder(Protocol):
    @property
    def array(self) -> Array: ...


@dataclass(frozen=True)
class _OwnArray:
    """An array for threads alone: in huge pages, which what processes share has not, it is copied a fifth quicker."""

    array: Array


class MemoryCache:
    """A row for every sample, and which rows are there.

    A row is written before it is called present; two workers that read one sample at once write the same bytes.
    """

    def __init__(self, spec: ArraySpec, num_samples: int, *, processes: bool) -> None:
        shape = (num_samples, *spec.shape)
        self._rows: _Holder = SharedArray(shape, spec.dtype) if processes else _OwnArray(allocate(spec, num_samples))
        self._present = SharedArray((num_samples,), PRESENT)

    @property
    def folder(self) -> None:
        """It lies in memory."""

    @property
    def num_found(self) -> int:
        """Samples whose arrays are here by now."""
        return int(self._present.array.sum())

    def holds(self, indices: Indices) -> bool:
        """Whether the arrays of all samples at `indices` are here."""
        return bool(self._present.array[indices].all())

    def find(self, index: int) -> bool:
        """Whether the array of sample `index` is here."""
        return bool(self._present.array[index])

    def take(self, indices: Indices, out: Array) -> None:
        """Copy the arrays at `indices`, all of them here, to the rows of `out`."""
        np.take(self._rows.array, indices, axis=0, out=out, mode="clip")  # mode: "raise" would buffer first

    def put(self, index: int, array: Array) -> None:
        """Keep the array of sample `index`."""
        self._rows.array[index] = array
        self._present.array[index] = True
