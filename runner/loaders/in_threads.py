"""A function over many items by several threads, with few of them under way at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from runner.errors import WorkerError

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
