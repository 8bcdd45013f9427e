"""Worker threads: for decoders that let go of the GIL, which all of the runner's own do."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from weakref import WeakSet

from runner.errors import WorkerError
from runner.loaders.assemble import allocate, fill, pieces
from runner.loaders.workers import PIECE
from runner.samples import Array, Indices
from runner.sources.source import Source

CLOSE_SECONDS = 5.0
"""How long closing waits for samples that are being read."""


@dataclass(frozen=True)
class PendingThreads:
    """The array of a batch, and the pieces of it that threads are reading."""

    x: Array
    futures: list[Future[None]]
    timeout_seconds: float

    def result(self) -> Array:
        """The array, once all pieces are read."""
        await_all(self.futures, self.timeout_seconds)
        return self.x

    def cancel(self) -> None:
        """Give the array up."""
        for future in self.futures:
            future.cancel()


class Threads:
    """A pool of threads that read pieces of batches."""

    def __init__(self, source: Source, num_workers: int, timeout_seconds: float) -> None:
        self._source, self._timeout_seconds = source, timeout_seconds
        self._executor = ThreadPoolExecutor(num_workers, thread_name_prefix="loader")
        self._reading: WeakSet[Future[None]] = WeakSet()

    def submit(self, indices: Indices) -> PendingThreads:
        """Begin to read the samples at `indices` into an array of their own."""
        x = allocate(self._source.spec, len(indices))
        futures = [
            self._executor.submit(fill, self._source, piece, x[start : start + len(piece)])
            for start, piece in pieces(indices, PIECE)
        ]
        self._reading.update(futures)
        return PendingThreads(x, futures, self._timeout_seconds)

    def close(self) -> None:
        """Stop the threads; one that hangs in a read is not waited for, since it cannot be ended."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        _, hanging = wait(set(self._reading), CLOSE_SECONDS)
        self._executor.shutdown(wait=not hanging)


def await_all(futures: list[Future[None]], timeout_seconds: float) -> None:
    """Wait for all `futures`; raises what the first failing one raised, or `WorkerError` when time is up."""
    deadline = time.monotonic() + timeout_seconds
    for future in futures:
        wait([future], max(0.0, deadline - time.monotonic()))
        if not future.done():
            raise WorkerError(
                f"workers gave no batch within loader.timeout_seconds={timeout_seconds:g}; the storage may hang, "
                "or the samples take longer to read: raise loader.timeout_seconds"
            )
        future.result()
