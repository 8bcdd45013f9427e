"""The `.npy` format: headers, and a reader that copies values straight into their row without holding the GIL."""

from __future__ import annotations

import io
import math
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import numpy as np

from runner.batch import Array, ArraySpec
from runner.errors import BadSampleError, reason
from runner.finite import batch_dtype, narrowed
from runner.images.decoder import Decoder, StoredBytes
from runner.place import NOT_A_FILE, Bytes, Place, fetched_bytes

MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""Bytes that hold the header's length, by version of the format (numpy.lib.format)."""

MOST_VALUES = 2**63 - 1
"""The most bytes of values that NumPy can address."""

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""A pipe must not block: it is no sample."""

MOST_BYTES = 10_000
"""The longest header that `numpy.load` reads without pickle."""


@dataclass(frozen=True)
class NpyHeader:
    """Shape, dtype and order of a file's values; `raw` are the bytes of the header."""

    raw: bytes
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    @property
    def num_bytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_native(self) -> bool:
        """Whether the values can be copied without conversion: C order and native byte order."""
        return not self.fortran_order and self.dtype.isnative

    def like(self, other: NpyHeader) -> bool:
        """Whether shape and dtype are equal, apart from the order of axes and bytes in the file."""
        return self.shape == other.shape and self.dtype.newbyteorder("=") == other.dtype.newbyteorder("=")

    def empty(self) -> Array:
        """A new array for the values."""
        return np.empty(self.shape, self.dtype, "F" if self.fortran_order else "C")

    def __str__(self) -> str:
        return f"{self.dtype.newbyteorder('=')} of shape {self.shape}"


def read_header(descriptor: int) -> NpyHeader:
    """The header of an open file, whatever its current position.

    Raises `ValueError` with the reason if there is no valid header, and `OSError` if the file cannot be read.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise ValueError(NOT_A_FILE)
    return parse_stored_header(lambda size: os.pread(descriptor, size, 0))


def parse_stored_header(first: Callable[[int], bytes]) -> NpyHeader:
    """The header of a file of which `first` gives as many bytes as it has, from the beginning.

    Raises `ValueError` with the reason if there is no valid header.
    """
    start = first(len(MAGIC) + 2 + 4)
    if not start.startswith(MAGIC):
        raise ValueError("is empty" if not start else "is not an .npy file")
    if len(start) < len(MAGIC) + 2 + 4:
        raise ValueError("ends within its header")
    width = LENGTH_BYTES.get(start[len(MAGIC)], 0)
    begin = len(MAGIC) + 2 + width
    end = begin + int.from_bytes(start[len(MAGIC) + 2 : begin], "little")
    if not width or end > MOST_BYTES:
        raise ValueError("has a damaged header")
    raw = first(end)
    if len(raw) < end:
        raise ValueError("ends within its header")
    return parse_header(raw)


@lru_cache(maxsize=64)
def parse_header(raw: bytes) -> NpyHeader:
    """Parse the bytes of a header. Results are cached, because the files of one dataset have few different headers.

    Raises `ValueError` with the reason if the header is invalid, or the values are Python objects.
    """
    shape, fortran_order, dtype = parse_stream(io.BytesIO(raw))
    if dtype.hasobject:
        raise ValueError("holds pickled Python objects, which are never loaded")
    return NpyHeader(raw, shape, dtype, fortran_order)


def parse_stream(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype from the header at the beginning of `stream`, which is left at its end.

    Raises `ValueError` with the reason if the header is invalid, or no array can have this shape.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except Exception as error:  # the parser may raise anything for a damaged header
        raise ValueError("has a damaged header") from error
    if any(type(size) is not int or size < 0 for size in shape) or math.prod(shape) * dtype.itemsize > MOST_VALUES:
        raise ValueError(f"has an impossible shape, {str(shape)[:60]}")
    return shape, fortran_order, dtype


@dataclass(frozen=True)
class NpyDecoder(Decoder):
    """Reads files like the one with this `header`. `spec` has the native byte order, and float32 for float64.

    `numpy.load` parses every header and holds the GIL while it reads. This reader compares the first bytes with those
    of the first file, and reads the values straight into their row.
    """

    header: NpyHeader
    spec: ArraySpec

    def decode(self, data: Bytes, name: str, out: Array) -> tuple[int, ...]:
        """Copy the values of an `.npy` file with the bytes `data` into `out`; return their shape.

        Raises `BadSampleError` if it is cut off, not an `.npy` file, or of another shape or dtype.
        """
        memory = memoryview(data)
        try:
            header = self.header
            if memory[: len(header.raw)] != header.raw:
                header = parse_stored_header(lambda size: bytes(memory[:size]))
                self._refuse_other(header)
            begin, end = len(header.raw), len(header.raw) + header.num_bytes
            if len(memory) < end:
                raise ValueError(_ends_after(len(memory) - begin, header.num_bytes))
        except ValueError as error:
            raise self._bad(name, error) from error
        values = header.empty()
        _bytes_of(values)[:] = memory[begin:end]
        out[...] = narrowed(values)
        return header.shape

    def _bad(self, name: str, error: ValueError) -> BadSampleError:
        return BadSampleError(name, f"the file {error}; expected {self.header}, as in the first file")

    def read(self, place: Place, out: Array) -> StoredBytes:
        """Read the values at `place` into `out`, a C-contiguous array of `spec`'s shape and dtype.

        Those of a file are read straight into their row. Returns its bytes: the header and the values, which may share
        the memory of `out`. Raises `BadSampleError` as `decode` does, and if the file is missing.
        """
        if place.size is not None or fetched_bytes(place) is not None:
            return super().read(place, out)
        path = place.file
        try:
            descriptor = os.open(path, _FLAGS)
            try:
                return self._read(descriptor, out)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise BadSampleError(path, reason(error)) from error
        except ValueError as error:
            raise self._bad(path, error) from error

    def read_many(self, places: Sequence[Place], out: Array) -> None:
        """Read the values at `places` into the rows of `out`; raises as `read` does."""
        begin, memory = bytearray(len(self.header.raw)), _bytes_of(out)
        size = len(memory) // max(1, len(places))
        for row, place in enumerate(places):
            values = memory[row * size : (row + 1) * size]
            if not (self._needs_no_conversion and self._read_plain(place, begin, values)):
                self.read(place, out[row])

    def _read_plain(self, place: Place, begin: bytearray, values: memoryview) -> bool:
        """Read a file like the first in a single call; whether `values` holds all of its values."""
        if place.size is not None or fetched_bytes(place) is not None:
            return False
        path = place.file
        try:
            descriptor = os.open(path, _FLAGS)
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
    def _needs_no_conversion(self) -> bool:
        """Whether values can be read straight into their row."""
        return self.header.is_native and self.header.dtype == self.spec.dtype

    def _read(self, descriptor: int, out: Array) -> StoredBytes:
        header = self.header
        values = out if self._needs_no_conversion else header.empty()
        begin = bytearray(len(header.raw))
        got = os.readv(descriptor, [begin, _bytes_of(values)])
        if begin != header.raw:
            return self._read_other(descriptor, out)
        if got < len(begin) + header.num_bytes:  # a large file, or a truncated one
            _read_rest(descriptor, _bytes_of(values), got - len(begin), offset=len(begin))
        if values is not out:
            out[...] = narrowed(values)
        return begin, _bytes_of(values)

    def _read_other(self, descriptor: int, out: Array) -> StoredBytes:
        """Read a file whose header differs from the first file's in any byte."""
        header = read_header(descriptor)
        self._refuse_other(header)
        values = header.empty()
        _read_rest(descriptor, _bytes_of(values), 0, offset=len(header.raw))
        out[...] = narrowed(values)
        return header.raw, _bytes_of(values)

    def _refuse_other(self, header: NpyHeader) -> None:
        if not header.like(self.header):
            raise ValueError(f"holds {header}")


def open_npy(place: Place) -> NpyDecoder:
    """A decoder of files like the one at `place`; reads only its header.

    Raises `BadSampleError` if the file is missing or invalid, or does not hold numbers with at least one axis.
    """
    try:
        header, (size, _) = parse_stored_header(place.head), place.stat()
    except OSError as error:
        raise BadSampleError(place.name, reason(error)) from error
    except ValueError as error:
        raise BadSampleError(place.name, f"the file {error}; expected an .npy file, as numpy.save writes it") from error
    if header.dtype.kind not in "biuf" or header.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise BadSampleError(place.name, f"samples must be whole numbers, floats or booleans, got {header}")
    if not header.shape or not header.num_bytes:
        raise BadSampleError(place.name, f"samples must hold values along at least one axis, got {header}")
    if size < len(header.raw) + header.num_bytes:
        got = size - len(header.raw)
        raise BadSampleError(place.name, f"the file ends after {got:,} of {header.num_bytes:,} bytes of values")
    return NpyDecoder(header, ArraySpec(header.shape, batch_dtype(header.dtype)))


def _bytes_of(values: Array) -> memoryview:
    """The memory of a contiguous array, in the order of the memory."""
    memory: memoryview = values.reshape(-1, order="A").view(np.uint8).data
    return memory


def _read_rest(descriptor: int, values: memoryview, got: int, *, offset: int) -> None:
    """Read the rest of `values` after the first `got` bytes; one call reads at most 2 GiB."""
    while got < len(values):
        more = os.preadv(descriptor, [values[got:]], offset + got)
        if not more:
            raise ValueError(_ends_after(got, len(values)))
        got += more


def _ends_after(got: int, expected: int) -> str:
    return f"ends after {got:,} of {expected:,} bytes of values"
