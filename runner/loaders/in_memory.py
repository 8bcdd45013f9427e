"""`loader=in_memory`: every sample is decoded once and held; what changes samples gets copies.

Samples that were read once and are held in one array, as a source.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from runner.batch import Array, ArraySpec, Batch, Indices
from runner.data.source import Source
from runner.data.views import Wrapper
from runner.errors import BadSampleError
from runner.loaders.buffers import KEPT_BUFFERS
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.reader import BadSample, SampleReader, allocate, gather
from runner.loaders.sequence import SequenceLoader, start_workers
from runner.loaders.settings import IN_FLIGHT, LoaderSettings
from runner.loaders.workers import read_ahead
from runner.transforms.transform import Changes


@dataclass(frozen=True)
class HeldSamples(Wrapper):
    """The samples of `source`, read from `rows`, shape `(num_samples, *spec.shape)`. Never pickled: for threads.

    Rows of samples that are `bad`, by index, hold nothing; reading them fails as it did the first time.
    """

    rows: Array
    bad: Mapping[int, BadSample] = field(default_factory=dict)

    def read(self, index: int, out: Array | None = None) -> Array:
        """A copy of row `index`."""
        self._refuse((index,))
        if out is None:
            copy: Array = self.rows[index].copy()
            return copy
        out[...] = self.rows[index]
        return out

    def read_many(self, indices: Indices, out: Array) -> None:
        """Copy the rows at `indices` to those of `out`."""
        self._refuse(indices.tolist())
        # mode="clip" writes straight into `out`; the default buffers it first (half as fast).
        np.take(self.rows, indices, axis=0, out=out, mode="clip")

    def _refuse(self, indices: Iterable[int]) -> None:
        for bad in filter(None, map(self.bad.get, indices)) if self.bad else ():
            raise BadSampleError(bad.name, bad.reason)


BLOCK = 64
"""Samples filled in one go."""

AHEAD = 2
"""Blocks under way or read, per worker, while filling."""


CHANGED_AHEAD = 4
"""Batches whose samples are being changed, or are, before the model asks for them."""


class InMemoryLoader(Loader):
    """Holds all samples of the split in one array, filled by the workers at the first batch.

    Held are the samples as the source gives them. Where something changes them, the workers change copies, ahead of
    the model; as threads always, for each process would need all samples to itself.
    """

    def __init__(self, source: Source, plan: Plan, settings: LoaderSettings, changes: Changes = ()) -> None:
        super().__init__(source, plan, changes)
        self._settings = settings
        self._held: HeldSamples | None = None
        self._changing: SequenceLoader | None = None
        self._lock = threading.Lock()  # two threads that ask at once must not read everything twice

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass, from step `start` on; each in an array of its own."""
        held = self.fill()
        return self._changed(held).epoch(epoch, start) if self.reader.changes else self._taken(held, epoch, start)

    def stream(self, first_step: int, num_steps: int | None = None) -> Iterator[Batch]:
        """As every loader; where samples are changed, those of the next pass are changed ahead as well."""
        changes = self.reader.changes
        return (
            self._changed(self.fill()).stream(first_step, num_steps)
            if changes
            else super().stream(first_step, num_steps)
        )

    def _changed(self, held: HeldSamples) -> SequenceLoader:
        with self._lock:
            if self._changing is None:
                in_threads = {"use_multiprocessing": False, "max_queue_size": CHANGED_AHEAD}
                settings = self._settings.model_copy(update=in_threads)
                self._changing = SequenceLoader(held, self.plan, settings, self.reader.changes)
                self._changing.clock = self.clock
                self._changing.handle_bad(self.reader.on_bad, self.note)
            return self._changing

    def _taken(self, held: HeldSamples, epoch: int, start: int) -> Iterator[Batch]:
        reader = replace(self.reader, source=held)
        for step in range(start, len(self)):
            indices = self.plan.batch(epoch, step)
            with self.clock.working("assemble", len(indices)):
                x = allocate(self.spec, len(indices))
                filled = reader.fill(epoch, indices, x)
            yield self.complete(gather(x, [filled]))

    def fill(self) -> HeldSamples:
        """All samples that can be read, with what is wrong with the others; read at the first call."""
        with self._lock:
            if self._held is None:
                self._held = self._read()
            return self._held

    def _read(self) -> HeldSamples:
        rows = allocate(self.source.spec, len(self.source))
        bad: list[BadSample] = []
        reader = SampleReader(self.source, on_bad=self.reader.on_bad.leaving_out())
        starts = range(0, len(rows), BLOCK)
        blocks = (np.arange(start, min(start + BLOCK, len(rows))) for start in starts)
        if self._settings.workers:
            bad += self._read_with_workers(reader, blocks, rows)
        else:
            for indices in blocks:
                filled = reader.fill(0, indices, rows[indices[0] : indices[-1] + 1])
                self.clock.add(filled.span)
                bad += filled.bad
        return HeldSamples(self.source, rows, {one.index: one for one in bad})

    def _read_with_workers(self, reader: SampleReader, blocks: Iterable[Indices], out: Array) -> Iterator[BadSample]:
        workers = start_workers(reader, self._settings, self.clock)
        try:
            for rows in read_ahead(workers, ((0, indices) for indices in blocks), AHEAD * self._settings.workers):
                out[rows.indices] = rows.x
                yield from rows.bad
        finally:
            workers.close()

    def close(self) -> None:
        """Stop the workers, and let go of the samples."""
        with self._lock:
            changing, self._changing, self._held = self._changing, None, None
        if changing is not None:
            changing.close()


class InMemory(LoaderSettings):
    """All samples decoded once, in parallel, and held in memory."""

    kind: Literal["in_memory"] = "in_memory"

    unused: ClassVar[tuple[str, ...]] = ("max_queue_size",)

    def idle_keys(self) -> tuple[str, ...]:
        """As for every loader; and a cache in memory, for everything is held there anyway."""
        return (*super().idle_keys(), *(("cache",) if self.cache == "memory" else ()))

    def num_bytes(self, spec: ArraySpec, num_samples: int, read: ArraySpec | None = None) -> int:
        """All samples; beside them, while filling, the blocks being read or kept; later the batches the model holds."""
        held = spec if read is None else read
        filling = min((AHEAD * self.workers + 1 + KEPT_BUFFERS) * BLOCK if self.workers else 0, num_samples)
        in_flight = IN_FLIGHT + (0 if read is None or not self.workers else CHANGED_AHEAD)
        given = in_flight * min(self.batch_size, num_samples)
        return num_samples * held.num_bytes + max(filling * held.num_bytes, given * spec.num_bytes)

    def build(self, source: Source, plan: Plan, changes: Changes = ()) -> InMemoryLoader:
        """A loader that reads all samples at its first batch."""
        return InMemoryLoader(source, plan, self, changes)
