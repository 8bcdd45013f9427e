"""`loader=in_memory`: every sample is read once, before the first batch, and stays in one array.

Transforms get copies of the samples, so that the next epoch starts from the same arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from runner.batch import Batch, Indices
from runner.data.place_order import stored_order
from runner.data.source import Source
from runner.data.views import Wrapper
from runner.errors import BadSampleError
from runner.fields import Values, take_rows
from runner.loaders.blend import PhaseAugmentation
from runner.loaders.buffers import KEPT_BUFFERS
from runner.loaders.draw import Draw
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.reader import BadSample, ReadResult, SampleReader, allocate, gather, read_batch
from runner.loaders.sequence import SequenceLoader, start_workers
from runner.loaders.settings import LoaderSettings
from runner.loaders.window_workers import in_windows
from runner.loaders.windows import Windows
from runner.loaders.workers import LARGE, read_ahead
from runner.transforms.transform import Transforms

BLOCK = 64
"""Samples to read in one call."""

AHEAD = 2
"""Blocks per worker that are being read, or read and not yet copied."""

BATCHES_AHEAD = 4
"""Batches that workers make ahead of the model, if they are large or transformed."""


def filling_samples(workers: int) -> int:
    """Samples in the blocks that are being read, or read and not yet copied, while the array is filled."""
    return (AHEAD * workers + 1 + KEPT_BUFFERS if workers else 1) * BLOCK


class InMemoryLoader(Loader):
    """Keeps all samples of a split in one array, which workers fill at the first batch.

    Workers copy the samples of large batches ahead of the model, and transform them where there are transforms. They
    are always threads, because each process would need its own copy of all samples.
    """

    def __init__(self, source: Source, plan: Plan, settings: LoaderSettings, transforms: Transforms = ()) -> None:
        super().__init__(source, plan, transforms)
        self._settings = settings
        self._samples: InMemorySamples | None = None
        self._from_memory: SequenceLoader | None = None
        self._lock = threading.Lock()  # two threads at once must not read everything twice

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass, from step `start` on; each in a new array."""
        samples = self.fill()
        if self._has_workers:
            return self._read_ahead(samples).epoch(epoch, start)
        return self._copied(samples, epoch, start)

    def stream(self, first_step: int, num_steps: int | None = None) -> Iterator[Batch]:
        """As in `Loader`; workers make the first batches of the next pass ahead as well."""
        if self._has_workers:
            return self._read_ahead(self.fill()).stream(first_step, num_steps)
        return super().stream(first_step, num_steps)

    @property
    def _has_workers(self) -> bool:
        """Whether workers make batches: to transform a sample takes long, and so does copying many bytes."""
        return bool(self.reader.transforms) or self.plan.batch_size * self.spec.num_bytes >= LARGE

    def _read_ahead(self, samples: InMemorySamples) -> SequenceLoader:
        with self._lock:
            if self._from_memory is None:
                in_threads = {"use_multiprocessing": False, "max_queue_size": BATCHES_AHEAD, "fetch_ahead": 0}
                settings = self._settings.model_copy(update=in_threads)
                self._from_memory = SequenceLoader(samples, self.plan, settings, self.reader.transforms)
                self._from_memory.clock, self._from_memory.share = self.clock, self.share
                self._from_memory.blend = self.blend
                self._from_memory.handle_bad(self.reader.on_bad, self.note)
                self._from_memory.reader = replace(self._from_memory.reader, checks_values=bool(self.reader.transforms))
            return self._from_memory

    def _copied(self, samples: InMemorySamples, epoch: int, start: int) -> Iterator[Batch]:
        reader = replace(self.reader, source=samples, checks_values=False)
        for step in range(start, len(self)):
            draw = self.draw(epoch, step)
            with self.clock.working("assemble", len(draw)):
                x = allocate(self.spec, len(draw))
                result = gather(x, [reader.fill(draw, x)])
            yield self.complete(result, epoch, step)

    def fill(self) -> InMemorySamples:
        """All samples of the split, read at the first call."""
        with self._lock:
            if self._samples is None:
                self._samples = self._read()
            return self._samples

    def _read(self) -> InMemorySamples:
        rows = allocate(self.source.spec, len(self.source))
        bad: list[BadSample] = []
        is_final = not self.reader.transforms
        reader = SampleReader(self.source, on_bad=self.reader.on_bad.without_substitutes(), checks_values=is_final)
        if self._settings.workers or self.source.spans() is not None:
            for result in self._results(reader):
                rows[result.indices] = result.x
                bad += result.bad
        else:
            for start in range(0, len(rows), BLOCK):
                indices = np.arange(start, min(start + BLOCK, len(rows)))
                with self.limited():
                    piece = reader.fill(Draw.of_pass(indices, 0), rows[start : start + BLOCK])
                self.clock.add(piece.span)
                bad += piece.bad
        return InMemorySamples(self.source, rows, {one.index: one for one in bad})

    def _results(self, reader: SampleReader) -> Iterator[ReadResult]:
        """All samples, read in their order; those that lie in large files, in their order there."""
        size = BLOCK if self.plan.blocks is None else min(BLOCK, self.plan.batch_size)  # no more than windows hold
        plan = Plan(num_samples=len(self.source), batch_size=size, shuffle=False, blocks=self.plan.blocks)
        windows, timeout_seconds = Windows.of(plan, self.source), self._settings.timeout_seconds
        draws = self._draws(plan)
        workers = start_workers(reader, self._settings, self.clock, windows) if self._settings.workers else None
        reads = None if windows is None else windows.read(0, plan.num_steps, self.clock, timeout_seconds)
        try:
            if workers is None:
                for step, draw in enumerate(draws):
                    with self.limited(), reads.using(0, step) if reads else nullcontext():
                        result = read_batch(reader, draw, self.clock)
                    yield result
            else:
                with in_windows(workers, reads) as reading:
                    yield from read_ahead(reading, draws, AHEAD * self._settings.workers)
        finally:
            if workers is not None:
                workers.close()
            if windows is not None:
                windows.close()

    def _draws(self, plan: Plan) -> Iterator[Draw]:
        """The samples of each step of a plan without shuffling, in the order of large files, where there are any."""
        if plan.blocks is not None:
            yield from (plan.batch(0, step) for step in range(plan.num_steps))
            return
        order = stored_order(self.source)
        for step in range(plan.num_steps):
            yield Draw.of_pass(order[slice(*plan.positions(step))].astype(np.int64), 0)

    def augment_by(self, augmentation: PhaseAugmentation) -> None:
        """As in `Loader`; the samples stay in memory."""
        self._stop_workers()
        super().augment_by(augmentation)

    def _stop_workers(self) -> None:
        with self._lock:
            loader, self._from_memory = self._from_memory, None
        if loader is not None:
            loader.close()

    def close(self) -> None:
        """Stop the workers and free the samples."""
        self._stop_workers()
        with self._lock:
            self._samples = None
        super().close()


@dataclass(frozen=True)
class InMemorySamples(Wrapper):
    """The samples of `source` as rows of an array, or of one for each name; for threads, never pickled.

    `bad` are samples that could not be read, by index; reading one raises the same error again.
    """

    rows: Values
    bad: Mapping[int, BadSample] = field(default_factory=dict)

    def spans(self) -> None:
        """None: the samples are in memory."""

    def read(self, index: int, out: Values = None) -> Values:
        """A copy of row `index`."""
        self._refuse((index,))
        if out is None:
            return self.rows[index].copy()
        out[...] = self.rows[index]
        return out

    def read_many(self, indices: Indices, out: Values) -> None:
        """Copy the rows at `indices` into the rows of `out`."""
        self._refuse(indices.tolist())
        take_rows(self.rows, indices, out)

    def _refuse(self, indices: Iterable[int]) -> None:
        for bad in filter(None, map(self.bad.get, indices)) if self.bad else ():
            raise BadSampleError(bad.name, bad.reason)
