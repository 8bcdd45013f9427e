"""`loader.cache`: a source that reads each sample once and keeps its array, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.data.source import Source
from runner.data.views import Wrapper
from runner.errors import DataError
from runner.loaders.buffers import PRESENT, SharedArray
from runner.loaders.disk_cache import DiskCache
from runner.loaders.loader import Loader
from runner.loaders.reader import ReadResult, allocate
from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Clock
from runner.loaders.workers import PendingBatch, Workers


def with_cache(source: Source, settings: LoaderSettings, array_settings: Mapping[str, Any] | None) -> Source:
    """`source` behind the cache of `settings`; `array_settings` are all settings that decide what an array holds.

    Raises `DataError` if a disk cache cannot identify arrays (no files, or no settings), or has no room for them.
    """
    if settings.cache == "none":
        return source
    if settings.cache == "memory":
        return CachedSource(source, MemoryCache(source.spec, len(source), processes=settings.use_multiprocessing))
    if array_settings is None or (len(source) and not source.has_files):
        raise DataError(
            "loader.cache=disk must have one file per sample, to notice files that change; set loader.cache=memory "
            "for this data"
        )
    return CachedSource(source, DiskCache.open(source, settings.cache_dir, array_settings))


class Cache(Protocol):
    """Storage for the arrays of a source, by sample index. Worker processes share their parent's arrays."""

    @property
    def folder(self) -> Path | None:
        """The folder on disk; None in memory."""

    @property
    def num_found(self) -> int:
        """Number of samples that are stored now."""

    def holds(self, indices: Indices) -> bool:
        """Whether all samples at `indices` can be copied. Fast; may be False for a sample that `find` still checks."""

    def find(self, index: int) -> bool:
        """Whether sample `index` can be copied; on disk, compares its checksum at the first call."""

    def take(self, indices: Indices, out: Array) -> None:
        """Copy the arrays at `indices`, all stored, into the rows of `out`."""

    def put(self, indices: Indices, arrays: Array) -> None:
        """Store copies of `arrays`, shape `(len(indices), *spec.shape)`."""


@dataclass(frozen=True)
class CachedSource(Wrapper):
    """The samples of `source`; each is read from it once and copied from `cache` afterwards."""

    cache: Cache

    def read(self, index: int, out: Array | None = None) -> Array:
        """The array of sample `index`."""
        array = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        if self.cache.find(index):
            self.cache.take(np.array([index]), array[None])
        else:
            self.source.read(index, array)
            self.cache.put(np.array([index]), array[None])
        return array

    def read_many(self, indices: Indices, out: Array) -> None:
        """Read the samples at `indices` into the rows of `out`: all missing ones in one call to the source."""
        if self.cache.holds(indices) or all(map(self.cache.find, indices.tolist())):
            self.cache.take(indices, out)
            return
        found = np.array([self.cache.find(index) for index in indices.tolist()], bool)
        missing = np.flatnonzero(~found)
        # The source fills the first rows of `out`. Each sample then moves to its own row, which is never before the
        # row it was read into, so the last one moves first.
        block = out[: len(missing)]
        self.source.read_many(indices[missing], block)
        self.cache.put(indices[missing], block)
        for row, array in zip(missing[::-1], block[::-1], strict=True):
            out[row] = array
        for row in np.flatnonzero(found):
            self.cache.take(indices[row : row + 1], out[row : row + 1])


@dataclass(frozen=True)
class _ThreadArray:
    """An array for threads only. It lies in huge pages, which shared memory lacks, so copying from it is faster."""

    array: Array


class MemoryCache:
    """`loader.cache=memory`: a row per sample in memory that all workers share, and a mark for each stored row.

    A row is marked after it is written. Two workers that read the same sample at once write the same bytes.
    """

    def __init__(self, spec: ArraySpec, num_samples: int, *, processes: bool) -> None:
        shape = (num_samples, *spec.shape)
        self._rows = SharedArray(shape, spec.dtype) if processes else _ThreadArray(allocate(spec, num_samples))
        self._present = SharedArray((num_samples,), PRESENT)

    @property
    def folder(self) -> None:
        """None: the arrays are in memory."""

    @property
    def num_found(self) -> int:
        """Number of samples that are stored now."""
        return int(self._present.array.sum())

    def holds(self, indices: Indices) -> bool:
        """Whether the arrays of all samples at `indices` are stored."""
        return bool(self._present.array[indices].all())

    def find(self, index: int) -> bool:
        """Whether the array of sample `index` is stored."""
        return bool(self._present.array[index])

    def take(self, indices: Indices, out: Array) -> None:
        """Copy the arrays at `indices`, all stored, into the rows of `out`."""
        # mode="clip" writes straight into `out`; the default copies into a buffer first.
        np.take(self._rows.array, indices, axis=0, out=out, mode="clip")

    def put(self, indices: Indices, arrays: Array) -> None:
        """Store copies of `arrays`, shape `(len(indices), *spec.shape)`."""
        self._rows.array[indices] = arrays
        self._present.array[indices] = True


def memory_cache_bytes(spec: ArraySpec, num_samples: int) -> int:
    """Bytes of memory that a `MemoryCache` takes once it stores all samples."""
    return num_samples * (spec.num_bytes + PRESENT.itemsize)


@dataclass(frozen=True)
class WorkersBehindCache:
    """Workers that read only batches with missing samples; the caller copies all others, which is faster.

    For samples that are not transformed afterwards.
    """

    workers: Workers
    source: CachedSource
    clock: Clock

    def submit(self, epoch: int, indices: Indices) -> PendingBatch:
        """Start to read the samples at `indices`, unless all of them are stored."""
        if self.source.cache.holds(indices):
            return _StoredBatch(self.source, indices, self.clock)
        return self.workers.submit(epoch, indices)

    def close(self) -> None:
        """Stop the workers."""
        self.workers.close()


@dataclass(frozen=True)
class _StoredBatch:
    """A batch of stored samples, copied only when the model needs it: a copy made earlier leaves the CPU cache."""

    source: CachedSource
    indices: Indices
    clock: Clock

    def result(self) -> ReadResult:
        """A copy of the rows."""
        with self.clock.working("read", len(self.indices)):
            x = allocate(self.source.spec, len(self.indices))
            self.source.cache.take(self.indices, x)
        return ReadResult(self.indices, x)

    def cancel(self) -> None:
        """Nothing to stop."""


def cache_section(loaders: Iterable[Loader]) -> dict[str, Any] | None:
    """`cache` in run.json: the folder and what the caches of these loaders store; None without a cache."""
    sources = [loader.source for loader in loaders if isinstance(loader.source, CachedSource)]
    if not sources:
        return None
    return {
        "folder": next((source.cache.folder for source in sources), None),
        "samples": sum(len(source) for source in sources),
        "found": sum(source.cache.num_found for source in sources),
        "bytes": sum(len(source) * source.spec.num_bytes for source in sources),
    }
