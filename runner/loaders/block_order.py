"""Block order: an epoch's order for samples that lie one after another in large files, read block by block.

    samples in files ─> blocks of about `block_bytes` ─> permuted ─> windows of `window_bytes` ─> permuted inside

A disk that seeks slowly reads a block as fast as it reads anything, but a sample in a random place only after a seek.
So the blocks are permuted, as many of them as memory holds make a window, and the samples of a window are permuted: a
block is read once per epoch, at one time. `BlockTable` knows the blocks of one split, whatever their sizes.
`BlockOrder` is the order of one epoch and computes any position of it directly. An epoch takes memory for its blocks,
not for its samples.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128_intdigest

from runner.batch import Indices
from runner.data.place_order import as_stored
from runner.data.places import Spans
from runner.loaders.permutation import Permutation
from runner.seeds import Purpose, derive

IntArray = NDArray[np.signedinteger]

SEEK_BYTES = 2_800_000
"""The largest gap between samples that is read rather than skipped: a spinning disk reads as much during a seek."""

KEPT_ORDERS = 4
"""Orders of epochs to keep: those of a training and a validation plan, and the epochs after them."""


@dataclass(frozen=True, eq=False)
class BlockTable:
    """The blocks of one split, and how many bytes of them make a window.

    `members` are the samples, block by block, shape `(samples,)`; block `b` has those from `firsts[b]` to
    `firsts[b + 1]`, perhaps none. `num_bytes[b]` is what reading it takes. Tables with the same contents are equal.
    """

    members: IntArray
    firsts: Indices
    num_bytes: Indices
    window_bytes: int

    @classmethod
    def cut(cls, spans: Spans, *, block_bytes: int, window_bytes: int) -> Self:
        """The blocks of samples that lie in `spans`.

        A file is cut every `block_bytes` bytes; a sample belongs to the block in which it begins, and is never divided.
        """
        stored, counts, sizes = as_stored(spans), [], []
        for begin, end in pairwise(np.cumsum([0, *np.bincount(spans.file)]).tolist()):
            begins = stored.offset[begin:end]
            parts = np.diff(np.flatnonzero(np.diff(begins // block_bytes, prepend=-1, append=-1)))
            counts.append(parts)
            sizes.append(_bytes_read(begins, begins + stored.size[begin:end], parts))
        firsts = np.cumsum(np.concatenate([[0], *counts]), dtype=np.int64)
        return cls(stored.indices, firsts, np.concatenate(sizes).astype(np.int64), window_bytes)

    @property
    def num_samples(self) -> int:
        """Samples in all blocks."""
        return len(self.members)

    @cached_property
    def largest_window_bytes(self) -> int:
        """The most bytes of a window of any epoch: a window has one block at least."""
        return min(int(self.num_bytes.sum()), max(self.window_bytes, int(self.num_bytes.max())))

    def members_of(self, block: int) -> IntArray:
        """The samples of a block, in their order in the file."""
        return self.members[self.firsts[block] : self.firsts[block + 1]]

    def order(self, seed: int | None, epoch: int) -> BlockOrder:
        """The order of `epoch`; without a seed, that of the files, in every epoch."""
        return _order(self, seed, 0 if seed is None else epoch)

    @cached_property
    def _digest(self) -> int:
        parts = (self.members, self.firsts, self.num_bytes)
        digests = [xxh3_128_intdigest(np.ascontiguousarray(part).data) for part in parts]
        return hash((*digests, str(self.members.dtype), self.window_bytes))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockTable) and self._digest == other._digest

    def __hash__(self) -> int:
        return self._digest


def _bytes_read(begins: Indices, ends: Indices, counts: Indices) -> Indices:
    """Bytes to read for blocks of `counts` samples each, in the order of the file: large gaps are left out."""
    if not len(begins):
        return np.zeros(0, np.int64)
    firsts = np.cumsum(counts) - counts
    in_a_row: Indices = ends[firsts + counts - 1] - begins[firsts]
    between = begins[1:] - ends[:-1]
    if not len(between) or (between.min() >= 0 and between.max() <= SEEK_BYTES):  # as in every pack
        return in_a_row
    lasts = np.maximum.accumulate(ends)
    gaps = np.maximum(begins - np.concatenate([begins[:1], lasts[:-1]]), 0)
    gaps[(gaps <= SEEK_BYTES)] = 0
    gaps[firsts] = 0  # a gap before the first sample of a block is not in it
    whole: Indices = lasts[firsts + counts - 1] - begins[firsts] - np.add.reduceat(gaps, firsts)
    return whole


def reads(begins: Indices, ends: Indices) -> Iterator[tuple[int, int]]:
    """Begin and end of each read of samples in the order of their file: through small gaps, not through large ones.

    >>> list(reads(np.array([0, 100, 9_000_000]), np.array([50, 200, 9_000_500])))
    [(0, 200), (9000000, 9000500)]
    """
    lasts = np.maximum.accumulate(ends)
    bounds = [0, *(np.flatnonzero(begins[1:] - lasts[:-1] > SEEK_BYTES) + 1).tolist(), len(begins)]
    for first, stop in pairwise(bounds):
        yield int(begins[first]), int(lasts[stop - 1])


@dataclass(frozen=True, eq=False)
class BlockOrder:
    """The order of one epoch: calling it maps positions to samples.

    The blocks at `slots` follow each other: slot `s` holds the positions from `starts[s]` to `starts[s + 1]`.
    Window `w` has the slots from `windows[w]` to `windows[w + 1]`. Without a seed, blocks and samples keep their order.
    """

    table: BlockTable
    seed: int | None
    epoch: int
    slots: Indices
    starts: Indices
    windows: Indices

    @cached_property
    def window_starts(self) -> Indices:
        """The position at which each window begins, and the end of the last one."""
        return self.starts[self.windows]

    def blocks_of(self, window: int) -> Indices:
        """The blocks of a window, in their order in the files."""
        return np.sort(self.slots[self.windows[window] : self.windows[window + 1]])

    def windows_of(self, start: int, stop: int) -> range:
        """The windows of the positions start … stop - 1."""
        first, last = np.searchsorted(self.window_starts, (start, stop - 1), "right").tolist()
        return range(first - 1, last)

    def __call__(self, positions: Indices) -> Indices:
        """The samples at these positions, of the same shape, int64."""
        places = np.asarray(positions, np.int64).ravel()
        if self.seed is not None:
            places = self._within_windows(places)
        slots = np.searchsorted(self.starts, places, "right") - 1
        numbers = self.table.firsts[self.slots[slots]] + places - self.starts[slots]
        samples: Indices = self.table.members[numbers].astype(np.int64)
        return samples.reshape(np.shape(positions))

    def _within_windows(self, places: Indices) -> Indices:
        moved, in_window = np.empty_like(places), np.searchsorted(self.window_starts, places, "right") - 1
        for window in np.unique(in_window).tolist():
            rows = in_window == window
            start, stop = self.window_starts[window : window + 2].tolist()
            moved[rows] = start + self._permutation(window, stop - start)(places[rows] - start)
        return moved

    def _permutation(self, window: int, length: int) -> Permutation:
        return Permutation.seeded(length, derive(self.seed or 0, Purpose.WINDOW, self.epoch, window))


@lru_cache(maxsize=KEPT_ORDERS)
def _order(table: BlockTable, seed: int | None, epoch: int) -> BlockOrder:
    counts = np.diff(table.firsts)
    slots = np.flatnonzero(counts)  # a block without samples is never read
    if seed is not None:
        slots = slots[Permutation.seeded(len(slots), derive(seed, Purpose.BLOCKS, epoch))(np.arange(len(slots)))]
    starts = np.cumsum(np.concatenate([[0], counts[slots]]))
    return BlockOrder(table, seed, epoch, slots, starts, _windows(table.num_bytes[slots], table.window_bytes))


def _windows(num_bytes: Indices, window_bytes: int) -> Indices:
    """The slot at which each window begins, and the number of slots: as many blocks as fit, and at least one."""
    ends, bounds = np.cumsum(num_bytes).tolist(), [0]  # in a list, bisect finds a place in a sixth of NumPy's time
    while (first := bounds[-1]) < len(ends):
        before = ends[first - 1] if first else 0
        bounds.append(max(first + 1, bisect_right(ends, before + window_bytes)))
    return np.array(bounds)
