"""`loader.cache`: a source that reads each sample once and keeps its array, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from runner.batch import Indices
from runner.data.source import Source
from runner.data.views import Wrapper
from runner.errors import DataError
from runner.fields import SampleSpec, Values, take_rows
from runner.finite import all_finite
from runner.loaders.disk_cache import DiskCache
from runner.loaders.draw import Draw
from runner.loaders.loader import Loader
from runner.loaders.reader import ReadResult, allocate
from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Clock
from runner.loaders.workers import LARGE, PendingBatch, Workers
from runner.place import Fetched
from runner.shared_memory import SharedArray

PRESENT = np.dtype(np.bool_)
"""Dtype of the marks for samples that a cache in memory stores."""

BYTE = np.dtype(np.uint8)
"""Dtype of the memory that holds the samples."""

NONE_MISSING: Indices = np.empty(0, np.int64)


def with_cache(source: Source, settings: LoaderSettings, array_settings: Mapping[str, Any] | None) -> Source:
    """`source` behind the cache of `settings`; `array_settings` are all settings that decide what an array holds.

    Raises `DataError` if a disk cache cannot identify arrays (no files, or no settings), or has no room for them.
    """
    if settings.cache == "none":
        return source
    if settings.cache == "memory":
        return CachedSource(source, MemoryCache(source.spec, len(source), processes=settings.use_multiprocessing))
    if array_settings is None or (len(source) and not source.has_bytes):
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
        """Whether all samples at `indices` seem to be stored; `take` finds out. Fast."""

    def take(self, indices: Indices, out: Values) -> Indices:
        """Copy the arrays at `indices` into the rows of `out`, C-contiguous; returns the rows that are not stored.

        These rows hold anything afterwards.
        """

    def put(self, indices: Indices, rows: Values) -> None:
        """Store copies of `rows`, C-contiguous."""


@dataclass(frozen=True)
class CachedSource(Wrapper):
    """The samples of `source`; each is read from it once and copied from `cache` afterwards."""

    cache: Cache

    def is_stored(self, indices: Indices) -> bool:
        """Whether all samples at `indices` seem to be stored."""
        return self.cache.holds(indices)

    def read(self, index: int, out: Values = None) -> Values:
        """The array of sample `index`."""
        values = self.spec.empty() if out is None else out
        if len(self.cache.take(np.array([index]), values[None])):
            self.source.read(index, values)
            self.cache.put(np.array([index]), values[None])
        return values

    def read_many(self, indices: Indices, out: Values) -> None:
        """Read the samples at `indices` into the rows of `out`: all missing ones in one call to the source."""
        missing = self.cache.take(indices, out)
        if not len(missing):
            return
        block = out if len(missing) == len(indices) else allocate(self.spec, len(missing))
        self.source.read_many(indices[missing], block)
        self.cache.put(indices[missing], block)
        if block is not out:
            out[missing] = block


class MemoryCache:
    """`loader.cache=memory`: a row per sample in memory that all workers share, and a mark for each stored row.

    A row is marked after it is written. Two workers that read the same sample at once write the same bytes.
    """

    def __init__(self, spec: SampleSpec, num_samples: int, *, processes: bool) -> None:
        self._shared, self._spec = SharedArray((spec.buffer_bytes(num_samples) if processes else 0,), BYTE), spec
        self._present = SharedArray((num_samples,), PRESENT)
        # Threads alone get huge pages, which shared memory lacks: copying from them is faster.
        self._rows = self._shared_rows() if processes else allocate(spec, num_samples)

    def _shared_rows(self) -> Values:
        return self._spec.view(self._shared.array, len(self._present.array))

    def __getstate__(self) -> dict[str, Any]:
        return {"_shared": self._shared, "_spec": self._spec, "_present": self._present}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._rows = self._shared_rows()

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

    def take(self, indices: Indices, out: Values) -> Indices:
        """Copy the arrays at `indices` into the rows of `out`; returns the rows that are not stored."""
        if self.holds(indices):
            take_rows(self._rows, indices, out)
            return NONE_MISSING
        is_present = self._present.array[indices]
        out[is_present] = self._rows[indices[is_present]]
        return np.flatnonzero(~is_present)

    def put(self, indices: Indices, rows: Values) -> None:
        """Store copies of `rows`."""
        self._rows[indices] = rows
        self._present.array[indices] = True


def memory_cache_bytes(spec: SampleSpec, num_samples: int) -> int:
    """Bytes of memory that a `MemoryCache` takes once it stores all samples."""
    return num_samples * (spec.num_bytes + PRESENT.itemsize)


@dataclass(frozen=True)
class WorkersBehindCache:
    """Workers that read large batches and those with missing samples; the caller copies the others, which is faster.

    For samples that are not transformed afterwards.
    """

    workers: Workers
    source: CachedSource
    clock: Clock

    def submit(self, draw: Draw, fetched: Fetched | None = None) -> PendingBatch:
        """Start to read the samples of `draw`, unless it is a small batch of which all are stored."""
        is_small = len(draw) * self.source.spec.num_bytes < LARGE
        if is_small and self.source.cache.holds(draw.indices):
            return _StoredBatch(self, draw)
        return self.workers.submit(draw, fetched)

    def close(self) -> None:
        """Stop the workers."""
        self.workers.close()


@dataclass(frozen=True)
class _StoredBatch:
    """A batch of stored samples, copied only when the model needs it: a copy made earlier leaves the CPU cache."""

    behind: WorkersBehindCache
    draw: Draw

    @property
    def futures(self) -> tuple[()]:
        """None: no worker reads it."""
        return ()

    def result(self) -> ReadResult:
        """A copy of the rows; workers read the batch if one of them is gone or damaged, or holds no numbers."""
        source, indices = self.behind.source, self.draw.indices
        with self.behind.clock.working("fetch", len(indices)):
            x = allocate(source.spec, len(indices))
            missing = source.cache.take(indices, x)
        if len(missing) or not all_finite(x):
            return self.behind.workers.submit(self.draw).result()
        return ReadResult(indices, x)

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
