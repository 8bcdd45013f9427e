"""Memory for batches: buffers at aligned addresses, which are reused."""

from __future__ import annotations

import weakref
from collections import deque

import numpy as np

from runner.batch import Array
from runner.fields import ALIGNMENT

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
