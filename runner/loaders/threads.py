"""Worker threads, for decoders that release the GIL, as all built-in ones do."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from runner.errors import WorkerError
from runner.fields import SampleSpec, Values
from runner.loaders.draw import Draw
from runner.loaders.reader import ReadPiece, ReadResult, SampleReader, allocate, gather
from runner.loaders.timing import Clock
from runner.loaders.workers import await_done, join_all, pieces
from runner.place import Fetched, using_fetched


class _LateArray:
    """The array of a batch, allocated when its first piece is read.

    So a batch that is queued takes no memory, and a batch that is read often gets memory that was freed a moment ago
    and is still in the CPU cache: small files are read 1.5 times as fast.
    """

    def __init__(self, spec: SampleSpec, num_samples: int) -> None:
        self._spec, self._num_samples = spec, num_samples
        self._array: Values = None
        self._lock = threading.Lock()

    def get(self) -> Values:
        """The array, a row per sample."""
        with self._lock:
            if self._array is None:
                self._array = allocate(self._spec, self._num_samples)
            return self._array


@dataclass(frozen=True)
class PendingThreads:
    """A batch whose pieces threads are reading."""

    array: _LateArray
    futures: list[Future[ReadPiece]]
    timeout_seconds: float
    clock: Clock

    def result(self) -> ReadResult:
        """Wait for all pieces."""
        filled = await_all(self.futures, self.timeout_seconds, self.clock)
        return gather(self.array.get(), filled)

    def cancel(self) -> None:
        """Give the batch up; pieces that are not being read are never read."""
        for future in self.futures:
            future.cancel()


@dataclass(frozen=True)
class _Piece:
    reader: SampleReader
    draw: Draw
    array: _LateArray
    row: int
    fetched: Fetched | None
    future: Future[ReadPiece] = field(default_factory=Future)

    def read(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            rows = self.array.get()[self.row : self.row + len(self.draw)]
            with using_fetched(self.fetched):
                filled = self.reader.fill(self.draw, rows)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(filled)


class Threads:
    """A pool of threads that read pieces of batches.

    They are daemon threads, unlike those of `concurrent.futures`: a thread that hangs in a read cannot be stopped, and
    the interpreter would wait for it at exit.
    """

    def __init__(self, reader: SampleReader, num_workers: int, timeout_seconds: float, clock: Clock) -> None:
        self._reader, self._num_workers = reader, num_workers
        self._timeout_seconds, self._clock = timeout_seconds, clock
        self._todo: SimpleQueue[_Piece | None] = SimpleQueue()
        names = [f"loader-{number}" for number in range(num_workers)]
        threads = [threading.Thread(target=_work, args=(self._todo,), name=name, daemon=True) for name in names]
        for thread in threads:
            thread.start()
        # Runs at `close`, when the pool is garbage, or at the interpreter's exit.
        self._stop = weakref.finalize(self, _stop, self._todo, threads)

    def submit(self, draw: Draw, fetched: Fetched | None = None) -> PendingThreads:
        """Start to read the samples of `draw` into a new array.

        Raises `RuntimeError` once the pool is closed.
        """
        array = _LateArray(self._reader.spec, len(draw))
        parts = pieces(draw, self._num_workers)
        batch = [_Piece(self._reader, part, array, row, fetched) for row, part in parts]
        for piece in batch:
            self._todo.put(piece)
        if not self._stop.alive:  # checked last: closing cancels the pieces that were queued before
            raise RuntimeError("cannot read: the loader is closed")
        return PendingThreads(array, [piece.future for piece in batch], self._timeout_seconds, self._clock)

    def close(self) -> None:
        """Stop the threads; one that hangs in a read ends when the read ends."""
        self._stop()


def _work(todo: SimpleQueue[_Piece | None]) -> None:
    while (piece := todo.get()) is not None:
        piece.read()
        del piece  # an idle thread must not keep a batch alive


def _stop(todo: SimpleQueue[_Piece | None], threads: Sequence[threading.Thread]) -> None:
    with contextlib.suppress(Empty):
        while True:
            if (piece := todo.get_nowait()) is not None:
                piece.future.cancel()
                piece.future.set_running_or_notify_cancel()  # wakes threads that wait for it
    for _ in threads:
        todo.put(None)
    join_all(threads)


def await_all(futures: Sequence[Future[ReadPiece]], timeout_seconds: float, clock: Clock) -> list[ReadPiece]:
    """Wait for all `futures` and add their work to `clock`.

    Raises the error of the first one that failed, or `WorkerError` after `timeout_seconds`.
    """
    pending = await_done(futures, timeout_seconds)  # all at once: waking the caller for each one slows the workers
    filled = [future.result() for future in futures if future not in pending]
    if pending:
        raise WorkerError(
            f"no batch within loader.timeout_seconds={timeout_seconds:g}; the storage may hang, or samples take longer "
            "to read: raise loader.timeout_seconds"
        )
    for piece in filled:
        clock.add(piece.span)
    return filled
