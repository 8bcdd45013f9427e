"""Memory for what is thrown away after each image: one set per thread, kept between images."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from runner.batch import Array

KEPT_BYTES = 1 << 27
"""The largest buffer a thread keeps (128 MiB); a photograph of 24 megapixels needs 72 MB."""


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.by_name: dict[str, Array] = {}


_buffers = _Buffers()


def scratch_bytes(name: str, num_bytes: int) -> Array:
    """The thread's buffer `name`: uint8, at least `num_bytes` long, with anything in it.

    The next call with the same name in the same thread gives the same memory again: touching fresh pages would
    cost each image time.
    """
    buffer = _buffers.by_name.get(name)
    if buffer is None or buffer.size < num_bytes:
        buffer = np.empty(num_bytes, np.uint8)
        if num_bytes <= KEPT_BYTES:
            _buffers.by_name[name] = buffer
    return buffer


def scratch_array(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The thread's buffer `name` as an array of `shape` and `dtype`."""
    num_bytes = math.prod(shape) * dtype.itemsize
    return np.ndarray(shape, dtype, buffer=scratch_bytes(name, num_bytes))
