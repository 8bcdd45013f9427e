"""Who reads the samples of a batch: the caller, threads or processes.

A function over many items by several threads, with few of them under way at a time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, pairwise
from typing import Protocol, TypeVar

from runner.batch import Indices
from runner.errors import WorkerError
from runner.loaders.reader import ReadResult

LEAST, MOST = 8, 32
"""Samples handed to a worker at once: to hand out fewer costs more than small files do, more idle the other workers."""


CLOSE_SECONDS = 2.0
"""How long closing waits for the samples that are being read."""


class PendingBatch(Protocol):
    """The rows of a batch that workers are reading."""

    def result(self) -> ReadResult:
        """The rows, once they are read.

        Raises what a worker raised, or `WorkerError` if one died or took too long.
        """

    def cancel(self) -> None:
        """Give the rows up; what is not being read yet never will be."""


class Workers(Protocol):
    """Reads batches in the background, in the order they are asked for."""

    def submit(self, epoch: int, indices: Indices) -> PendingBatch:
        """Begin to read the samples at `indices`, as they are in `epoch`."""

    def close(self) -> None:
        """Stop; waits for what is being read, but not for ever."""


def pieces(indices: Indices, num_workers: int) -> list[tuple[int, Indices]]:
    """`indices` in even pieces, each with the row it begins at: one a worker, unless they were too small or large."""
    count = max(1, min(len(indices) // LEAST, max(num_workers, math.ceil(len(indices) / MOST))))
    bounds = [len(indices) * piece // count for piece in range(count + 1)]
    return [(start, indices[start:end]) for start, end in pairwise(bounds)]


def read_ahead(workers: Workers, batches: Iterable[tuple[int, Indices]], most: int) -> Iterator[ReadResult]:
    """The rows of each of `batches`, epoch and indices, in order, with up to `most` being read ahead.

    Whoever asks for the next rows hands out the work as well: no thread of its own, and nothing is read of an
    iterator that nobody asks. Closing it gives up what was read ahead.
    """
    todo = iter(batches)
    waiting: deque[PendingBatch] = deque()
    try:
        for epoch, indices in islice(todo, most):
            waiting.append(workers.submit(epoch, indices))
        while waiting:
            rows = waiting[0].result()  # if this fails, what else is read of its batch is given up with the others
            waiting.popleft()
            waiting.extend(workers.submit(epoch, following) for epoch, following in islice(todo, 1))
            yield rows
    finally:
        for pending in waiting:
            pending.cancel()


Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""Items under way or done and not fetched, per thread."""


def in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    timeout_seconds: float,
    ahead: int | None = None,
    noun: str = "sample",
) -> Iterator[Result]:
    """The results in the order of the items; raises what `function` raises, or `WorkerError` when time is up.

    At most `ahead` items are under way or done and not fetched. Without workers, everything happens in the caller's
    thread. `noun` is what messages call a result.
    """
    if workers == 0:
        yield from map(function, items)
        return
    todo, waiting = iter(items), deque[Future[Result]]()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="reader")
    try:
        waiting.extend(pool.submit(function, item) for item in islice(todo, ahead or AHEAD * workers))
        while waiting:
            yield _result(waiting.popleft(), timeout_seconds, noun)
            waiting.extend(pool.submit(function, item) for item in islice(todo, 1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[Result], timeout_seconds: float, noun: str) -> Result:
    try:
        return future.result(timeout_seconds)
    except TimeoutError as error:
        raise WorkerError(
            f"a worker read no {noun} within loader.timeout_seconds={timeout_seconds:g}; the storage may hang, "
            f"or a {noun} takes longer to read: raise loader.timeout_seconds"
        ) from error
