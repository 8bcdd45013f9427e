"""Workers that read batches from windows: a batch starts once its windows are in memory, and ends their use."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from runner.loaders.draw import Draw
from runner.loaders.reader import ReadResult
from runner.loaders.window_buffers import Key
from runner.loaders.windows import WindowReads
from runner.loaders.workers import PendingBatch, Workers
from runner.place import Fetched


@dataclass(frozen=True)
class WorkersInWindows:
    """`workers` whose batches follow each other in the order of `reads`."""

    reads: WindowReads
    workers: Workers

    def submit(self, draw: Draw, fetched: Fetched | None = None) -> PendingBatch:
        """Start to read the samples of `draw`, the next batch, once their windows are in memory."""
        batch = BatchInWindows(self, draw)
        self.reads.start_when_read(batch)
        return batch

    def close(self) -> None:
        """Stop the workers."""
        self.workers.close()


@contextmanager
def in_windows(workers: Workers, reads: WindowReads | None) -> Iterator[Workers]:
    """`workers` that start a batch once its windows are read; without windows, `workers` as they are."""
    if reads is None:
        yield workers
        return
    try:
        yield WorkersInWindows(reads, workers)
    finally:
        reads.close()


class BatchInWindows:
    """A batch that starts when its windows are read."""

    def __init__(self, behind: WorkersInWindows, draw: Draw) -> None:
        self._reads, self._workers, self._draw = behind.reads, behind.workers, draw
        self.keys: list[Key] = self._reads.next_windows()
        self._started: PendingBatch | None = None
        self._error: BaseException | None = None
        self._is_cancelled = False

    @property
    def futures(self) -> Sequence[Future[Any]]:
        """The pieces that are being read."""
        return () if self._started is None else self._started.futures

    def start(self) -> None:
        """Hand the batch to the workers; `result` raises the error of that."""
        try:
            started = self._workers.submit(self._draw, self._reads.bytes_of(self.keys))
        except BaseException as error:
            self._reads.release(self.keys)
            with self._reads.changed:
                self._error = error
                self._reads.changed.notify_all()
            return
        _Use(self._reads, self.keys, started.futures)
        with self._reads.changed:
            self._started = started
            self._reads.changed.notify_all()
        if self._is_cancelled:
            started.cancel()

    def result(self) -> ReadResult:
        """Wait for the windows, then for the samples."""
        self._reads.wait_until(lambda: self._started is not None or self._error is not None)
        if self._started is None:
            raise self._error or RuntimeError("the batch was cancelled")
        return self._started.result()

    def cancel(self) -> None:
        """Give the batch up; it never starts if it has not yet."""
        self._is_cancelled = True
        if self._reads.drop(self):
            self._reads.release(self.keys)
        elif self._started is not None:
            self._started.cancel()


class _Use:
    """The use of windows by the pieces of a batch, until the last of them is done."""

    def __init__(self, reads: WindowReads, keys: list[Key], futures: Sequence[Future[Any]]) -> None:
        self._reads, self._keys, self._left = reads, keys, len(futures) + 1
        self._lock = threading.Lock()
        for future in futures:
            future.add_done_callback(self._end_one)
        self._end_one()

    def _end_one(self, _: Future[Any] | None = None) -> None:
        with self._lock:
            self._left -= 1
            is_last = not self._left
        if is_last:
            self._reads.release(self._keys)
