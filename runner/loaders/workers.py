"""Reading ahead with workers: batches by any pool of workers, and any function by threads."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice, pairwise
from typing import Any, Protocol, TypeVar

from runner.errors import WorkerError
from runner.loaders.draw import Draw
from runner.loaders.reader import ReadResult
from runner.place import Fetched
from runner.watchdog import watched

LEAST, MOST = 8, 32
"""Samples in a piece for one worker: fewer cost more to hand out than small files to read, more idle other workers."""


LARGE = 2**20
"""Bytes of a batch whose samples a worker copies from memory, ahead of the model.

A GPU computes such a batch in the time of a few copies. To copy a smaller one takes less time than to hand it over.
"""

CLOSE_SECONDS = 2.0
"""How long closing waits for samples that are being read."""


class PendingBatch(Protocol):
    """A batch that workers are reading."""

    @property
    def futures(self) -> Sequence[Future[Any]]:
        """Its pieces; none if no worker reads it."""

    def result(self) -> ReadResult:
        """Wait for the samples.

        Raises the error of a worker, or `WorkerError` if one died or took too long.
        """

    def cancel(self) -> None:
        """Give the batch up; samples that are not being read are never read."""


class Workers(Protocol):
    """A pool that reads batches in the background, in the order of `submit`."""

    def submit(self, draw: Draw, fetched: Fetched | None = None) -> PendingBatch:
        """Start to read the samples of `draw`; take their bytes from `fetched` where it has them."""

    def close(self) -> None:
        """Stop the workers; waits up to `CLOSE_SECONDS` for samples that are being read."""


def join_all(threads: Iterable[threading.Thread]) -> None:
    """Wait until `threads` end, which were asked to, at most `CLOSE_SECONDS` for all of them."""
    deadline = time.monotonic() + CLOSE_SECONDS
    for thread in threads:
        if thread is not threading.current_thread():  # the garbage collector may run in one of them
            thread.join(max(0.0, deadline - time.monotonic()))


def pieces(draw: Draw, num_workers: int) -> list[tuple[int, Draw]]:
    """`draw` in even pieces, each with its first row: one per worker, within `LEAST` and `MOST` samples."""
    count = max(1, min(len(draw) // LEAST, max(num_workers, math.ceil(len(draw) / MOST))))
    bounds = [len(draw) * piece // count for piece in range(count + 1)]
    return [(start, draw[start:end]) for start, end in pairwise(bounds)]


def read_ahead(workers: Workers, draws: Iterable[Draw], most: int) -> Iterator[ReadResult]:
    """Read the batches of `draws` in order; up to `most` are read ahead.

    Work is handed out when the caller takes a batch: there is no thread for it, and an iterator that is not used reads
    nothing. Closing the iterator gives up all batches that are read ahead.
    """
    todo = iter(draws)
    waiting: deque[PendingBatch] = deque()
    try:
        for draw in islice(todo, most):
            waiting.append(workers.submit(draw))
        while waiting:
            result = waiting[0].result()  # if this fails, its other pieces are cancelled with the other batches
            waiting.popleft()
            waiting.extend(workers.submit(following) for following in islice(todo, 1))
            yield result
    finally:
        for pending in waiting:
            pending.cancel()


Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""Items per thread that are running, or done and not fetched."""


def in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    timeout_seconds: float,
    ahead: int | None = None,
    noun: str = "sample",
) -> Iterator[Result]:
    """Map `function` over `items` with threads; results in the order of the items.

    At most `ahead` items are running, or done and not fetched. With 0 workers, the caller's thread does all of them.
    `noun` names a result in messages. Raises the error of `function`, or `WorkerError` after `timeout_seconds`; with 0
    workers after the limit of the watchdog.
    """
    if workers == 0:
        for item in items:
            with watched(lambda: f"a {noun}"):
                result = function(item)
            yield result
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
    if await_done([future], timeout_seconds):
        raise WorkerError(
            f"a worker read no {noun} within loader.timeout_seconds={timeout_seconds:g}; the storage may hang, "
            f"or a {noun} takes longer to read: raise loader.timeout_seconds"
        )
    return future.result()


WAIT_SECONDS = 0.5
"""The longest single wait for workers."""


def await_done(futures: Iterable[Future[Any]], timeout_seconds: float) -> set[Future[Any]]:
    """Wait until all `futures` are done, at most `timeout_seconds`; those that are not.

    A process that is stopped (Ctrl-Z, a suspended job, a paused container) reads nothing meanwhile, and its clock goes
    on. So the time is counted in short waits: however long a stop lasts, it takes no more than one of them.
    """
    pending, left = set(futures), timeout_seconds
    while pending and left > 0:
        pending = wait(pending, min(left, WAIT_SECONDS)).not_done
        left -= WAIT_SECONDS
    return pending
