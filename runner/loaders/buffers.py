"""Memory for batches, used again once nobody refers to it: fresh pages cost more than small files do.

An array that worker processes share with their parent, in memory that has no name and cannot be left behind.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections import deque
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

from runner.batch import Array

ALIGNMENT = 64
"""Bytes. TensorFlow and JAX take an array that begins on such an address as it is, and copy any other."""

KEPT = 2
"""How many buffers wait to be used again, at most: a loader lets go of one about as often as it asks for one."""

LARGEST_BYTES = 1 << 24
"""Of a buffer that is kept (16 MiB); what it costs to begin a larger one is little beside filling it."""

_free: deque[Array] = deque(maxlen=KEPT)  # appended to by finalizers, which may run anywhere: it needs no lock


def aligned_bytes(num_bytes: int) -> Array:
    """`num_bytes` bytes, uint8, that begin on an aligned address, with anything in them.

    They are used again when this array and all views of it are gone. Frameworks that go on reading a batch without
    a copy refer to it, and so keep it.
    """
    buffer = _unused(num_bytes + ALIGNMENT)
    # Of a memoryview, for NumPy lets a view of a view refer to the array that owns the memory, past any in between.
    owner = np.frombuffer(buffer.data, np.uint8)
    if len(buffer) <= LARGEST_BYTES:
        weakref.finalize(owner, _free.append, buffer).atexit = False
    start = -buffer.ctypes.data % ALIGNMENT
    return owner[start : start + num_bytes]


def _unused(num_bytes: int) -> Array:
    while True:
        try:
            buffer = _free.pop()
        except IndexError:
            return np.empty(num_bytes, np.uint8)
        if len(buffer) == num_bytes:
            return buffer


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
