"""What worker processes share with their parent: arrays in memory, and open files.

Both can be pickled only while a process is being started.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array


class SharedArray:
    """An array that worker processes share with their parent; zeros at first. Pages are allocated when written.

    Its memory has no name: the system frees it once no process uses it, however the processes ended, and no limit on
    /dev/shm applies.
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


class SharedFile:
    """An open file that worker processes share with their parent; it stays usable after its name is deleted.

    It is read and written by calls. A mapped file would kill the process, without a message, where another one cuts it
    or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._keep(os.open(path, os.O_RDWR | os.O_CREAT, 0o666))

    def _keep(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    def reserve(self, num_bytes: int) -> None:
        """Take the room on the disk for `num_bytes`, now. Raises `OSError` if there is none."""
        size = os.fstat(self._descriptor).st_size
        if num_bytes > size:
            os.posix_fallocate(self._descriptor, size, num_bytes - size)

    def read(self, num_bytes: int, offset: int) -> bytes:
        """`num_bytes` bytes from `offset` on; zeros where the file ends before or cannot be read."""
        memory = bytearray(num_bytes)
        self.fill(memoryview(memory), offset)
        return bytes(memory)

    def fill(self, memory: memoryview, offset: int) -> bool:
        """Read from `offset` on into `memory`; whether that could be filled. It is not at the end of a cut file."""
        try:
            got, size = os.preadv(self._descriptor, (memory,), offset), len(memory)
            while got < size:  # a file that was cut off, or more than the 2 GiB of one call
                more = os.preadv(self._descriptor, (memory[got:],), offset + got)
                if not more:
                    return False
                got += more
        except OSError:
            return False
        return True

    def write(self, memory: memoryview | bytes, offset: int) -> None:
        """Write all of `memory` at `offset`."""
        rest = memoryview(memory)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[written:], offset + written

    def __getstate__(self) -> dict[str, Any]:
        return {"descriptor": DupFd(self._descriptor)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._keep(state["descriptor"].detach())
