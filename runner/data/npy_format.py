"""From `.npy` files to arrays of one shape and dtype, without the GIL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec
from runner.data.npy_header import NpyHeader, read_header
from runner.errors import BadSampleError
from runner.images.reader import reason

Content = tuple[bytes | bytearray, memoryview]
"""The bytes of a file: its header and its values."""


@dataclass(frozen=True)
class NpyReader:
    """Reads files like the one with this `header`; frozen, picklable, shared freely by threads.

    `numpy.load` parses each header anew and holds the GIL while it reads. Here the first bytes are compared with
    those of the first file, and the values go straight from the file into their row.
    """

    header: NpyHeader

    @property
    def spec(self) -> ArraySpec:
        """The shape in the files, and their dtype in the machine's byte order; float64 becomes float32."""
        return ArraySpec(self.header.shape, _batch_dtype(self.header.dtype))

    def read(self, path: str, out: Array) -> Content:
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

    def _read(self, descriptor: int, out: Array) -> Content:
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

    def _read_other(self, descriptor: int, out: Array) -> Content:
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
    return NpyReader(header)


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
