"""`loader.cache`: arrays that were read once are kept, and read no more.

`loader.cache=memory`: the arrays of one split in memory, which threads and processes share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.data.source import FileSource, Source, has_files
from runner.data.views import Wrapping
from runner.errors import DataError
from runner.loaders.buffers import PRESENT, SharedArray
from runner.loaders.disk_cache import DiskCache
from runner.loaders.loader import Loader
from runner.loaders.reader import Rows, allocate
from runner.loaders.settings import LoaderSettings
from runner.loaders.timing import Clock
from runner.loaders.workers import PendingRows, Workers


def memory_bytes(spec: ArraySpec, num_samples: int) -> int:
    """Bytes of memory the arrays of all samples take, once each was read."""
    return num_samples * (spec.num_bytes + PRESENT.itemsize)


class _Holder(Protocol):
    @property
    def array(self) -> Array: ...


@dataclass(frozen=True)
class _OwnArray:
    """An array for threads alone: in huge pages, which what processes share has not, it is copied a fifth quicker."""

    array: Array


class MemoryCache:
    """A row for every sample, and which rows are there.

    A row is written before it is called present; two workers that read one sample at once write the same bytes.
    """

    def __init__(self, spec: ArraySpec, num_samples: int, *, processes: bool) -> None:
        shape = (num_samples, *spec.shape)
        self._rows: _Holder = SharedArray(shape, spec.dtype) if processes else _OwnArray(allocate(spec, num_samples))
        self._present = SharedArray((num_samples,), PRESENT)

    @property
    def folder(self) -> None:
        """It lies in memory."""

    @property
    def num_found(self) -> int:
        """Samples whose arrays are here by now."""
        return int(self._present.array.sum())

    def holds(self, indices: Indices) -> bool:
        """Whether the arrays of all samples at `indices` are here."""
        return bool(self._present.array[indices].all())

    def find(self, index: int) -> bool:
        """Whether the array of sample `index` is here."""
        return bool(self._present.array[index])

    def take(self, indices: Indices, out: Array) -> None:
        """Copy the arrays at `indices`, all of them here, to the rows of `out`."""
        np.take(self._rows.array, indices, axis=0, out=out, mode="clip")  # mode: "raise" would buffer first

    def put(self, index: int, array: Array) -> None:
        """Keep the array of sample `index`."""
        self._rows.array[index] = array
        self._present.array[index] = True


class Cache(Protocol):
    """Where the arrays of a source are kept, by sample; worker processes share what their parent has."""

    @property
    def folder(self) -> Path | None:
        """Where it lies on the disk; None in memory."""

    @property
    def num_found(self) -> int:
        """Samples that are there by now."""

    def holds(self, indices: Indices) -> bool:
        """Whether all samples at `indices` can be taken; quick, and may say no of what `find` has not seen yet."""

    def find(self, index: int) -> bool:
        """Whether sample `index` can be taken."""

    def take(self, indices: Indices, out: Array) -> None:
        """Copy the arrays at `indices`, all of which can be taken, to the rows of `out`."""

    def put(self, index: int, array: Array) -> None:
        """Keep a copy of the array of sample `index`."""


@dataclass(frozen=True)
class Cached(Wrapping):
    """The samples of `source`, each read from it only once."""

    cache: Cache

    def read(self, index: int, out: Array | None = None) -> Array:
        """The array of sample `index`."""
        values = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        if self.cache.find(index):
            self.cache.take(np.array([index]), values[None])
        else:
            self.source.read(index, values)
            self.cache.put(index, values)
        return values

    def read_many(self, indices: Indices, out: Array) -> None:
        """Read the samples at `indices` into the rows of `out`: at once, if all of them are kept."""
        if self.cache.holds(indices):
            self.cache.take(indices, out)
            return
        for row, index in enumerate(indices.tolist()):
            self.read(index, out[row])


class CachedFiles(Cached):
    """Samples that are read once, of a source with one file per sample."""

    source: FileSource

    def path(self, index: int) -> Path:
        """The file of sample `index`."""
        return self.source.path(index)

    def read_hashed(self, index: int, out: Array) -> None:
        """Read sample `index` into `out`, perhaps not from its file."""
        self.read(index, out)


@dataclass(frozen=True)
class _Kept:
    """A batch that needs no worker; not copied before it is asked for, which would only push others out of the CPU."""

    source: Cached
    indices: Indices
    clock: Clock

    def result(self) -> Rows:
        """The rows of a copy."""
        with self.clock.working("read", len(self.indices)):
            x = allocate(self.source.spec, len(self.indices))
            self.source.cache.take(self.indices, x)
        return Rows(self.indices, x)

    def cancel(self) -> None:
        """Nothing is under way."""


@dataclass(frozen=True)
class WorkersBehindCache:
    """Reads by `workers` what is not kept yet; what is, the caller copies quicker than it could ask them.

    For samples that are not changed afterwards.
    """

    workers: Workers
    source: Cached
    clock: Clock

    def submit(self, epoch: int, indices: Indices) -> PendingRows:
        """Begin to read the samples at `indices`, or copy them if all are kept."""
        kept = self.source.cache.holds(indices)
        return _Kept(self.source, indices, self.clock) if kept else self.workers.submit(epoch, indices)

    def close(self) -> None:
        """Stop the workers."""
        self.workers.close()


def with_cache(source: Source, settings: LoaderSettings, array_settings: Mapping[str, Any] | None) -> Source:
    """`source` behind the cache that `settings` ask for; `array_settings` is all that decides what arrays hold.

    Raises `DataError` if it has no files or settings to tell kept arrays by, or the disk has no room for them.
    """
    if settings.cache == "none":
        return source
    kind = CachedFiles if has_files(source) else Cached
    if settings.cache == "memory":
        return kind(source, MemoryCache(source.spec, len(source), processes=settings.use_multiprocessing))
    if not has_files(source) or array_settings is None:
        raise DataError(
            "loader.cache=disk must have samples that are a file each, to see which of them have changed; "
            "set loader.cache=memory for this data"
        )
    return CachedFiles(source, DiskCache.open(source, settings.cache_dir, array_settings))


def cache_section(loaders: Iterable[Loader]) -> dict[str, Any] | None:
    """What run.json says of the caches of a run: where, and how much is in them; None where nothing is cached."""
    sources = [loader.source for loader in loaders if isinstance(loader.source, Cached)]
    if not sources:
        return None
    return {
        "folder": next((source.cache.folder for source in sources), None),
        "samples": sum(len(source) for source in sources),
        "found": sum(source.cache.num_found for source in sources),
        "bytes": sum(len(source) * source.spec.num_bytes for source in sources),
    }
