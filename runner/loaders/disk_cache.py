"""`loader.cache=disk`: the arrays of one split in files that later runs find again, and others use meanwhile."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array, Indices
from runner.data.source import FileSource
from runner.loaders.cache_key import file_key
from runner.loaders.cache_store import KEY, Store
from runner.loaders.shared_array import PRESENT, SharedArray

WRITTEN = 1 << 32
"""The bit of a checksum that tells an array's from none."""


class DiskCache:
    """Slots of a store for the samples of one source, by the state their files had when it was opened.

    The checksum of what lies there already is compared once, at its first use, and shared with worker processes.
    """

    def __init__(self, source: FileSource, store: Store, keys: Array) -> None:
        self._store, self._source, self._keys = store, source, keys
        self._slots = store.claim(keys)
        self._present = SharedArray((len(keys),), PRESENT)

    @classmethod
    def open(cls, source: FileSource, cache_dir: Path, settings: Mapping[str, Any]) -> DiskCache:
        """The cache of `source` below `cache_dir`, with room for all its samples; looks at the state of each file.

        Raises `DataError` if there is no room, or nothing can be written there.
        """
        keys = np.array([file_key(source.path(index)) for index in range(len(source))], KEY)
        return cls(source, Store.of(cache_dir, settings, source.spec), keys)

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self._store.folder

    @property
    def num_found(self) -> int:
        """Samples whose arrays are on the disk by now."""
        checksums = self._mapped[1]
        return int((checksums[self._slots[self._slots >= 0]] != 0).sum())

    def holds(self, indices: Indices) -> bool:
        """Whether the arrays of all samples at `indices` are here, and known to be whole."""
        return bool(self._present.array[indices].all())

    def find(self, index: int) -> bool:
        """Whether the array of sample `index` is here and whole; compares its checksum at the first use."""
        if not self._present.array[index] and (slot := self._slots[index]) >= 0:
            arrays, checksums = self._mapped
            written = int(checksums[slot])
            self._present.array[index] = written != 0 and written == _checksum(arrays[slot])
        return bool(self._present.array[index])

    def take(self, indices: Indices, out: Array) -> None:
        """Copy the arrays at `indices`, all of them here, to the rows of `out`."""
        np.take(self._mapped[0], self._slots[indices], axis=0, out=out, mode="clip")  # mode: "raise" would buffer first

    def put(self, index: int, array: Array) -> None:
        """Keep the array of sample `index`, unless its file has changed since the cache was opened."""
        slot = self._slots[index]
        if slot < 0 or file_key(self._source.path(index)).encode() != self._keys[index]:
            return
        arrays, checksums = self._mapped
        arrays[slot] = array
        checksums[slot] = _checksum(array)
        self._present.array[index] = True

    @cached_property
    def _mapped(self) -> tuple[Array, Array]:
        return self._store.map(int(np.max(self._slots, initial=0)) + 1)

    def __getstate__(self) -> dict[str, Any]:
        # Each process maps the files itself.
        return {name: value for name, value in self.__dict__.items() if name != "_mapped"}


def _checksum(array: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data) | WRITTEN
