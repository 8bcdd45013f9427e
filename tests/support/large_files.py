"""Samples that lie one after another in large files, and a disk that counts seeks.

Sample `i` holds the number `i` and bytes made from it.
"""

import os
import threading
from dataclasses import dataclass

import numpy as np
import xxhash

from runner.batch import ArraySpec
from runner.data.labels import NO_LABELS
from runner.data.places import MemberPlaces
from runner.data.stored_samples import StoredSamples
from runner.errors import BadSampleError
from runner.images.decoder import Decoder

MOST_BYTES = 3000


@dataclass(frozen=True)
class NumberDecoder(Decoder):
    """A sample is the number that it holds, and a checksum of all its bytes."""

    spec = ArraySpec((2,), np.dtype(np.int64))

    def decode(self, data, name, out):
        if len(data) < 8:
            raise BadSampleError(name, "too short")
        out[...] = [np.frombuffer(data[:4], "<u4")[0], xxhash.xxh32_intdigest(data)]


def content(index):
    """The bytes of sample `index`: 8 to `MOST_BYTES` of them."""
    rng = np.random.default_rng(index)
    return np.uint32(index).tobytes() + rng.bytes(int(rng.integers(4, MOST_BYTES - 4)))


def write_large_files(folder, num_samples=400, num_files=3, seed=0):
    """A source of samples in a random order in files below `folder`."""
    order = np.random.default_rng(seed).permutation(num_samples)
    files = tuple(str(folder / f"{number}.pack") for number in range(num_files))
    file, (offset, size) = np.zeros(num_samples, np.int32), np.zeros((2, num_samples), np.int64)
    for number, members in enumerate(np.array_split(order, num_files)):
        with open(files[number], "wb") as pack:
            for index in members.tolist():
                pack.write(b"\0" * 100)  # as a header between members
                file[index], offset[index] = number, pack.tell()
                size[index] = pack.write(content(index))
    names = tuple(f"{index:06d}.bin" for index in range(num_samples))
    return StoredSamples(MemberPlaces(files, file, offset, size, names), names, NO_LABELS, NumberDecoder())


class Disk:
    """Counts the reads of large files that do not begin where the last one ended."""

    def __init__(self, monkeypatch, suffix=".pack"):
        self.suffix, self.seeks, self._head, self._lock = suffix, 0, None, threading.Lock()
        for name in ("pread", "preadv"):
            monkeypatch.setattr(os, name, self._watched(getattr(os, name)))

    def _watched(self, read):
        def counted(descriptor, what, offset, *flags):
            result = read(descriptor, what, offset, *flags)
            with self._lock:
                file = os.readlink(f"/proc/self/fd/{descriptor}")
                if file.endswith(self.suffix):
                    self.seeks += (file, offset) != self._head
                    self._head = (file, offset + (len(result) if isinstance(result, bytes) else result))
            return result

        return counted
