"""`loader=in_memory`: every sample is decoded once and held."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from runner.loaders.assemble import allocate, complete, fill
from runner.loaders.buffers import KEPT
from runner.loaders.loader import Loader
from runner.loaders.sequence import start_workers
from runner.loaders.settings import IN_FLIGHT, LoaderSettings
from runner.loaders.workers import read_ahead
from runner.plan import Plan
from runner.samples import Array, ArraySpec, Batch
from runner.sources.source import Source

BLOCK = 64
"""Samples filled in one go."""

AHEAD = 2
"""Blocks under way or read, per worker, while filling."""


class InMemoryLoader(Loader):
    """Holds all samples of the split in one array, filled by the workers at the first batch."""

    def __init__(self, source: Source, plan: Plan, settings: LoaderSettings) -> None:
        super().__init__(source, plan)
        self._settings = settings
        self._held: Array | None = None
        self._lock = threading.Lock()  # two threads that ask at once must not read everything twice

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass, from step `start` on; each in an array of its own."""
        held = self.fill()
        for step in range(start, len(self)):
            indices = self.plan.batch(epoch, step)
            x = allocate(self.source.spec, len(indices))
            # mode="clip" writes straight into `out`; the default buffers it first (half as fast).
            np.take(held, indices, axis=0, out=x, mode="clip")
            yield complete(self.source, indices, x)

    def fill(self) -> Array:
        """All samples, shape `(num_samples, *spec.shape)`; read at the first call."""
        with self._lock:
            if self._held is None:
                self._held = self._read()
            return self._held

    def _read(self) -> Array:
        held = allocate(self.source.spec, len(self.source))
        if self._settings.workers:
            self._read_with_workers(held)
        else:
            fill(self.source, np.arange(len(held)), held)
        return held

    def _read_with_workers(self, held: Array) -> None:
        blocks = (np.arange(start, min(start + BLOCK, len(held))) for start in range(0, len(held), BLOCK))
        workers = start_workers(self.source, self._settings)
        try:
            for indices, x in read_ahead(workers, blocks, AHEAD * self._settings.workers):
                held[indices[0] : indices[-1] + 1] = x
        finally:
            workers.close()

    def close(self) -> None:
        """Let go of the samples."""
        self._held = None


class InMemory(LoaderSettings):
    """All samples decoded once, in parallel, and held in memory."""

    kind: Literal["in_memory"] = "in_memory"

    unused: ClassVar[tuple[str, ...]] = ("max_queue_size",)

    def idle_keys(self) -> tuple[str, ...]:
        """As for every loader; and a cache in memory, for everything is held there anyway."""
        return (*super().idle_keys(), *(("cache",) if self.cache == "memory" else ()))

    def num_bytes(self, spec: ArraySpec, num_samples: int) -> int:
        """All samples; beside them, while filling, the blocks being read or kept; later the batches the model holds."""
        filling = (AHEAD * self.workers + 1 + KEPT) * BLOCK if self.workers else 0
        beside = max(min(filling, num_samples), IN_FLIGHT * min(self.batch_size, num_samples))
        return (num_samples + beside) * spec.num_bytes

    def build(self, source: Source, plan: Plan) -> InMemoryLoader:
        """A loader that reads all samples at its first batch."""
        return InMemoryLoader(source, plan, self)
