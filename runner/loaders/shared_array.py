"""An array that worker processes share with their parent, in memory that has no name and cannot be left behind."""

from __future__ import annotations

import math
import mmap
import os
import weakref
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

from runner.batch import Array

PRESENT = np.dtype(np.bool_)
"""The dtype of the marks that say which samples a cache has."""


class SharedArray:
    """Zeros of `shape` and `dtype`; the memory is taken as they are written.

    It travels by pickle while a process is being started, and only then. The system frees the memory once no process
    has it any more, however they ended, and no limit on /dev/shm applies.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        descriptor = os.memfd_create("keras-runner")
        os.ftruncate(descriptor, max(1, math.prod(shape) * dtype.itemsize))
        self._map(descriptor, shape, dtype)

    def _map(self, descriptor: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.array: Array = np.ndarray(shape, dtype, mmap.mmap(descriptor, 0))
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    def __getstate__(self) -> dict[str, Any]:
        return {"descriptor": DupFd(self._descriptor), "shape": self.array.shape, "dtype": self.array.dtype}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._map(state["descriptor"].detach(), state["shape"], state["dtype"])
