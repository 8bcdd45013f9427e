"""From `.npy` files to arrays of one shape and dtype, without the GIL.

The header of an `.npy` file: shape and dtype, and how many bytes stand before the values.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec
from runner.errors import BadSampleError
from runner.images.reader import FileBytes, FileReader, reason

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


@dataclass(frozen=True)
class NpyReader(FileReader):
    """Reads files like the one with this `header`; frozen, picklable, shared freely by threads.

    `numpy.load` parses each header anew and holds the GIL while it reads. Here the first bytes are compared with
    those of the first file, and the values go straight from the file into their row.
    """

    header: NpyHeader
    spec: ArraySpec

    def read(self, path: str, out: Array) -> FileBytes:
        """Write the values of the file at `path` into `out`, a C-contiguous array of `spec`'s shape and dtype.

        Returns the file's bytes, which are those of `out` where it holds the values as they lie in the file.
        Raises `BadSampleError` for a file that is missing, cut off, no `.npy` file, or of another shape or dtype.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                return self._read(descriptor, out)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise BadSampleError(path, reason(error)) from error
        except ValueError as error:
            raise BadSampleError(path, f"the file {error}; expected {self.header}, as in the first file") from error

    def read_many(self, paths: Sequence[str], out: Array) -> None:
        """Write the values of the files at `paths` into the rows of `out`; raises as `read` does."""
        begin, memory = bytearray(len(self.header.raw)), _bytes_of(out)
        for row, path in enumerate(paths):
            size = len(memory) // len(paths)
            if not (self._straight and self._read_plain(path, begin, memory[row * size : (row + 1) * size])):
                self.read(path, out[row])

    def _read_plain(self, path: str, begin: bytearray, values: memoryview) -> bool:
        """Whether `values` holds those of the file now: one like the first, and small enough for a single call."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return False
        try:
            got = os.readv(descriptor, [begin, values])
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return got == len(begin) + len(values) and begin == self.header.raw

    @property
    def _straight(self) -> bool:
        """Whether the values can be read to where they belong, as they lie in the file."""
        return self.header.as_it_is and self.header.dtype == self.spec.dtype

    def _read(self, descriptor: int, out: Array) -> FileBytes:
        header = self.header
        values = out if self._straight else header.empty()
        begin = bytearray(len(header.raw))
        got = os.readv(descriptor, [begin, _bytes_of(values)])
        if begin != header.raw:
            return self._read_other(descriptor, out)
        if got < len(begin) + header.num_bytes:  # a large file, or one that is cut off
            _read_rest(descriptor, _bytes_of(values), got - len(begin), begins_at=len(begin))
        if values is not out:
            out[...] = values
        return begin, _bytes_of(values)

    def _read_other(self, descriptor: int, out: Array) -> FileBytes:
        """Read a file whose header is not that of the first file, byte for byte."""
        header = read_header(descriptor)
        if not header.like(self.header):
            raise ValueError(f"holds {header}")
        values = header.empty()
        _read_rest(descriptor, _bytes_of(values), 0, begins_at=len(header.raw))
        out[...] = values
        return header.raw, _bytes_of(values)


def open_npy(path: Path) -> NpyReader:
    """A reader of files like the one at `path`, of which only the header is read.

    Raises `BadSampleError` if there is none, or none of numbers with at least one axis.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            header = read_header(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadSampleError(str(path), reason(error)) from error
    except ValueError as error:
        raise BadSampleError(str(path), f"the file {error}; expected an .npy file, as numpy.save writes it") from error
    if header.dtype.kind not in "biuf" or header.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise BadSampleError(str(path), f"samples must be whole numbers, floats or booleans, got {header}")
    if not header.shape or not header.num_bytes:
        raise BadSampleError(str(path), f"samples must hold values along at least one axis, got {header}")
    return NpyReader(header, ArraySpec(header.shape, _batch_dtype(header.dtype)))


def _batch_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if dtype.newbyteorder("=") == np.float64 else dtype.newbyteorder("=")


def _bytes_of(values: Array) -> memoryview:
    """The memory of a contiguous array, in the order it lies there."""
    memory: memoryview = values.reshape(-1, order="A").view(np.uint8).data
    return memory


def _read_rest(descriptor: int, values: memoryview, got: int, *, begins_at: int) -> None:
    """Read what is left of `values` after their first `got` bytes; one call reads 2 GiB at most."""
    while got < len(values):
        more = os.preadv(descriptor, [values[got:]], begins_at + got)
        if not more:
            raise ValueError(f"ends after {got:,} of {len(values):,} bytes of values")
        got += more
