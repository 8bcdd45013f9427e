"""Who reads the samples of a batch: the caller, threads or processes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Protocol

from runner.batch import Indices
from runner.loaders.rows import Rows

LEAST, MOST = 8, 32
"""Samples handed to a worker at once: to hand out fewer costs more than small files do, more idle the other workers."""


CLOSE_SECONDS = 2.0
"""How long closing waits for the samples that are being read."""


class PendingRows(Protocol):
    """The rows of a batch that workers are reading."""

    def result(self) -> Rows:
        """The rows, once they are read.

        Raises what a worker raised, or `WorkerError` if one died or took too long.
        """

    def cancel(self) -> None:
        """Give the rows up; what is not being read yet never will be."""


class Workers(Protocol):
    """Reads batches in the background, in the order they are asked for."""

    def submit(self, epoch: int, indices: Indices) -> PendingRows:
        """Begin to read the samples at `indices`, as they are in `epoch`."""

    def close(self) -> None:
        """Stop; waits for what is being read, but not for ever."""


def pieces(indices: Indices, num_workers: int) -> list[tuple[int, Indices]]:
    """`indices` in even pieces, each with the row it begins at: one a worker, unless they were too small or large."""
    count = max(1, min(len(indices) // LEAST, max(num_workers, math.ceil(len(indices) / MOST))))
    bounds = [len(indices) * piece // count for piece in range(count + 1)]
    return [(start, indices[start:end]) for start, end in pairwise(bounds)]


def read_ahead(workers: Workers, batches: Iterable[tuple[int, Indices]], most: int) -> Iterator[Rows]:
    """The rows of each of `batches`, epoch and indices, in order, with up to `most` being read ahead.

    Whoever asks for the next rows hands out the work as well: no thread of its own, and nothing is read of an
    iterator that nobody asks. Closing it gives up what was read ahead.
    """
    todo = iter(batches)
    waiting: deque[PendingRows] = deque()
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
