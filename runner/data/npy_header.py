"""The header of an `.npy` file: shape and dtype, and how many bytes stand before the values."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from runner.batch import Array

MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""Bytes of the header's length, by the format's version (numpy.lib.format)."""

MOST_BYTES = 10_000
"""The longest header `numpy.load` reads without pickle."""


@dataclass(frozen=True)
class NpyHeader:
    """What a file's first bytes, `raw`, say of the values after them."""

    raw: bytes
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    @property
    def num_bytes(self) -> int:
        """Bytes of the values."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def as_it_is(self) -> bool:
        """Whether the values stand in the file as C code has them: in C order, of the machine's byte order."""
        return not self.fortran_order and self.dtype.isnative

    def like(self, other: NpyHeader) -> bool:
        """Whether both say the same values, in whatever order of axes and bytes."""
        return self.shape == other.shape and self.dtype.newbyteorder("=") == other.dtype.newbyteorder("=")

    def empty(self) -> Array:
        """An array to read the values into."""
        return np.empty(self.shape, self.dtype, "F" if self.fortran_order else "C")

    def __str__(self) -> str:
        return f"{self.dtype.newbyteorder('=')} of shape {self.shape}"


def read_header(descriptor: int) -> NpyHeader:
    """The header of an open file; where the file stands is no matter.

    Raises `ValueError` with the reason if the file begins with none, and `OSError` if it cannot be read.
    """
    start = os.pread(descriptor, len(MAGIC) + 2 + 4, 0)
    if not start.startswith(MAGIC):
        raise ValueError("is empty" if not start else "is no .npy file")
    width = LENGTH_BYTES.get(start[len(MAGIC)], 0)
    begin = len(MAGIC) + 2 + width
    end = begin + int.from_bytes(start[len(MAGIC) + 2 : begin], "little")
    if not width or end > MOST_BYTES:
        raise ValueError("has a damaged header")
    raw = os.pread(descriptor, end, 0)
    if len(raw) < end:
        raise ValueError("ends within its header")
    return parse_header(raw)


@lru_cache(maxsize=64)
def parse_header(raw: bytes) -> NpyHeader:
    """The meaning of a header's bytes; kept, for the files of a data set have few headers between them.

    Raises `ValueError` with the reason if they mean nothing, or objects that only pickle could read.
    """
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except Exception as error:  # a damaged header fails in any way Python's own parser does
        raise ValueError("has a damaged header") from error
    if dtype.hasobject:
        raise ValueError("holds pickled Python objects, which are never loaded")
    return NpyHeader(raw, shape, dtype, fortran_order)
