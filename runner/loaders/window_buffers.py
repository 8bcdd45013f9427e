"""Two buffers for windows of blocks, which worker processes share, and how a window is read into one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, Self, runtime_checkable

import numpy as np

from runner.batch import Indices
from runner.data.places import Spans
from runner.data.source import Source
from runner.loaders.block_order import BlockOrder, BlockTable, reads
from runner.loaders.blocks import NUM_WINDOWS
from runner.loaders.plan import Plan
from runner.loaders.window_bytes import PartReader, Runs
from runner.shared_memory import SharedArray

Key = tuple[int, int]
"""A window: its epoch, and its number there."""


@runtime_checkable
class Caching(Protocol):
    """A source that keeps samples."""

    def is_stored(self, indices: Indices) -> bool:
        """Whether all samples at `indices` seem to be kept, so that their bytes are not needed."""


class WindowBuffers:
    """Buffers for windows of `source` in the order of `plan`. `changed` guards `free`, the numbers of free buffers."""

    def __init__(self, plan: Plan, table: BlockTable, source: Source, spans: Spans) -> None:
        self.plan, self._table, self._spans = plan, table, spans
        self._cache = source if isinstance(source, Caching) else None
        self.changed = threading.Condition()
        self.free = list(range(NUM_WINDOWS))
        self._buffers: tuple[SharedArray, ...] = ()

    @classmethod
    def of(cls, plan: Plan, source: Source) -> Self | None:
        """The windows of a plan with blocks over samples in large files; None for others."""
        spans = None if plan.blocks is None else source.spans()
        return None if plan.blocks is None or spans is None else cls(plan, plan.blocks, source, spans)

    @property
    def buffers(self) -> tuple[SharedArray, ...]:
        """The buffers; made at the first use. Their pages are allocated when a window is read."""
        with self.changed:
            if not self._buffers:
                size = self._table.largest_window_bytes
                self._buffers = tuple(SharedArray((size,), np.dtype(np.uint8)) for _ in range(NUM_WINDOWS))
            return self._buffers

    def drop_buffers(self) -> None:
        """Free the memory, once no batch refers to it; the next use makes new buffers."""
        with self.changed:
            self._buffers = ()

    def of_batch(self, epoch: int, step: int) -> list[Key]:
        """The windows of the samples of a batch."""
        return [(epoch, window) for window in self._order(epoch).windows_of(*self.plan.positions(step))]

    def keys(self, step: int, end: float) -> Iterator[Key]:
        """The windows of the batches from global step `step` to `end`, in their order."""
        while step < end:
            epoch, first = divmod(step, self.plan.num_steps)
            stop = int(min(self.plan.num_steps, first + end - step))
            begin, last = self.plan.positions(first)[0], self.plan.positions(stop - 1)[1]
            yield from ((epoch, window) for window in self._order(epoch).windows_of(begin, last))
            step += stop - first

    def fill(
        self, buffers: Sequence[SharedArray], number: int, key: Key, goes_on: Callable[[], bool]
    ) -> tuple[Runs, int]:
        """Read a window into a buffer as long as `goes_on`; what is there, and of how many samples.

        Blocks whose samples are all in a cache are left out.
        """
        files, num_samples = PartReader(number, buffers[number].array.data, goes_on), 0
        epoch, window = key
        for block in self._order(epoch).blocks_of(window).tolist():
            members = self._table.members_of(block).astype(np.int64)
            if self._cache is not None and self._cache.is_stored(members):
                continue
            begins = self._spans.offset[members]
            for part in reads(begins, begins + self._spans.size[members]):
                files.read(self._spans.files[self._spans.file[members[0]]], *part)
            num_samples += len(members)
        return files.runs(), num_samples

    def _order(self, epoch: int) -> BlockOrder:
        return self._table.order(self.plan.order_seed, epoch)
