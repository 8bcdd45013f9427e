"""`loader=sequence`: workers read batches ahead while the model trains."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count, tee

from runner.batch import Batch
from runner.data.source import Source
from runner.errors import WorkerError
from runner.loaders.blend import PhaseAugmentation
from runner.loaders.cache import CachedSource, WorkersBehindCache
from runner.loaders.fetch_workers import FetchingThreads
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.processes import Processes
from runner.loaders.reader import SampleReader
from runner.loaders.settings import LoaderSettings
from runner.loaders.threads import Threads
from runner.loaders.timing import Clock
from runner.loaders.window_workers import in_windows
from runner.loaders.windows import WindowReads, Windows
from runner.loaders.workers import Workers, read_ahead
from runner.transforms.transform import Transforms


class SequenceLoader(Loader):
    """Reads up to `max_queue_size` batches ahead with a pool of workers that lives as long as the loader."""

    def __init__(self, source: Source, plan: Plan, settings: LoaderSettings, transforms: Transforms = ()) -> None:
        super().__init__(source, plan, transforms)
        self._settings = settings
        self._workers: Workers | None = None
        self._lock = threading.Lock()  # frameworks take batches in their own threads

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass, from step `start` on."""
        return self.stream(epoch * len(self) + start, len(self) - start)

    def stream(self, first_step: int, num_steps: int | None = None) -> Iterator[Batch]:
        """As in `Loader`; near the end of a pass, workers read the first batches of the next one."""
        if self._settings.workers == 0:
            yield from self.in_caller(first_step, num_steps)
            return
        steps = count(first_step) if num_steps is None else range(first_step, first_step + num_steps)
        places, ahead = tee(divmod(step, len(self)) for step in steps)
        batches = (self.draw(epoch, step) for epoch, step in ahead)
        try:
            reads = self._read_windows(first_step, num_steps)
            with in_windows(self._started_workers(), reads) as workers:
                for rows in read_ahead(workers, batches, self._settings.max_queue_size):
                    yield self.complete(rows, *next(places))
        except WorkerError:
            self.close()  # a worker that hangs would keep the interpreter from exiting
            raise

    def _started_workers(self) -> Workers:
        with self._lock:
            if self._workers is None:
                self._workers = start_workers(self.reader, self._settings, self.clock, self.windows)
            return self._workers

    def _read_windows(self, first_step: int, num_steps: int | None) -> WindowReads | None:
        if self.windows is None:
            return None
        return self.windows.read(first_step, num_steps, self.clock, self._settings.timeout_seconds)

    def augment_by(self, augmentation: PhaseAugmentation) -> None:
        """As in `Loader`; the next epoch starts new workers, which have a reader each."""
        self._stop_workers()
        super().augment_by(augmentation)

    def _stop_workers(self) -> None:
        with self._lock:
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def close(self) -> None:
        """Stop the workers; the next epoch starts new ones."""
        self._stop_workers()
        super().close()


def start_workers(
    reader: SampleReader, settings: LoaderSettings, clock: Clock, windows: Windows | None = None
) -> Workers:
    """A pool of threads or processes, as in `settings`; at least one worker."""
    count, timeout_seconds = max(1, settings.workers), settings.timeout_seconds
    wanted = None if settings.fetch_ahead == "auto" else settings.fetch_ahead
    workers: Workers
    if settings.use_multiprocessing:
        buffers = windows.buffers if windows else ()
        workers = Processes(reader, count, timeout_seconds, clock, buffers, wanted or 0)
    else:
        workers = Threads(reader, count, timeout_seconds, clock)
        if wanted != 0 and windows is None:
            workers = FetchingThreads(workers, reader, settings)
    if isinstance(reader.source, CachedSource) and not reader.transforms:
        return WorkersBehindCache(workers, reader.source, clock)
    return workers
