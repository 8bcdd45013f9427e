"""Memory for arrays: reused buffers for batches, and arrays that processes share."""

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
"""In bytes. TensorFlow and JAX use an array at such an address directly; they copy any other."""

KEPT_BUFFERS = 2
"""Most buffers that wait for reuse: a loader frees one about as often as it needs one."""

LARGEST_BYTES = 1 << 24
"""Largest buffer to reuse (16 MiB); allocating a larger one costs little compared with filling it."""

_free: deque[Array] = deque(maxlen=KEPT_BUFFERS)  # appended to by finalizers, which may run anywhere: it needs no lock


def aligned_bytes(num_bytes: int) -> Array:
    """An uninitialised uint8 array of shape `(num_bytes,)` at an aligned address.

    Its memory is reused once this array and all views of it are gone: fresh pages cost more than reading small files.
    A framework that uses a batch without a copy refers to it, and so keeps it.
    """
    buffer = _unused(num_bytes + ALIGNMENT)
    # From a memoryview: a view of a view otherwise refers to the array that owns the memory, not to `owner`.
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
"""Dtype of the marks for samples that a cache stores."""


class SharedArray:
    """An array that worker processes share with their parent; zeros at first. Pages are allocated when written.

    It can be pickled only while a process is being started. Its memory has no name: the system frees it once no
    process uses it, however the processes ended, and no limit on /dev/shm applies.
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
