"""The blocks of a source for `loader.order=blocks`: cut from where its samples lie, and what reading them costs."""

from __future__ import annotations

import numpy as np

from runner.batch import Indices
from runner.data.places import Spans
from runner.data.source import Source
from runner.errors import DataError
from runner.loaders.block_order import BlockTable
from runner.messages import format_bytes

MEBIBYTE = 2**20

NUM_WINDOWS = 2
"""Windows in memory: the one whose samples are in use, and the next one, which is read meanwhile."""

FAIR_SHARE = 0.8
"""The share of the bytes read that samples should have; below it a note says so."""

FORMAT_BYTES = 4096
"""Bytes around a sample that belong to it: headers, padding, a member with its labels."""


def spans_of(source: Source) -> Spans:
    """The parts of large files that the samples of `source` lie in. Raises `DataError` if they do not."""
    spans = source.spans()
    if spans is None:
        what = "each sample of this data is a file" if source.has_bytes else "this data has no such files"
        raise DataError(
            f"loader.order=blocks must have samples that lie one after another in large files, but {what}; pack the "
            "data with mode=pack and read it with data=pack, or set loader.order=random"
        )
    return spans


def cut_blocks(source: Source, *, block_mb: float, window_mb: float) -> BlockTable:
    """The blocks of `source`. Raises `DataError` if its samples do not lie in large files."""
    block_bytes, window_bytes = max(1, round(block_mb * MEBIBYTE)), round(window_mb * MEBIBYTE)
    return BlockTable.cut(spans_of(source), block_bytes=block_bytes, window_bytes=window_bytes)


def most_window_bytes(source: Source, *, block_mb: float, window_mb: float) -> int:
    """The most bytes that the windows of `source` take, without cutting its blocks: that takes seconds for millions.

    Raises `DataError` if its samples do not lie in large files.
    """
    spans = spans_of(source)
    if not len(spans.file):
        return 0
    window_bytes = max(round(window_mb * MEBIBYTE), round(block_mb * MEBIBYTE) + int(spans.size.max()))
    return NUM_WINDOWS * (window_bytes if spans.size.sum() >= window_bytes else min(window_bytes, _extent(spans)))


def _extent(spans: Spans) -> int:
    """Bytes from the first to the last sample of each file."""
    first, last = np.full(len(spans.files), np.iinfo(np.int64).max), np.zeros(len(spans.files), np.int64)
    np.minimum.at(first, spans.file, spans.offset)
    np.maximum.at(last, spans.file, spans.offset + spans.size)
    return int(np.maximum(last - first, 0).sum())


def refuse_small_windows(table: BlockTable, batch_size: int) -> None:
    """Raise `DataError` if a batch could need samples of three windows, while two are in memory.

    A window ends before the block that would be too much. So it holds a batch if the largest blocks with fewer samples
    than a batch, and one more, are within its bytes.
    """
    largest = int(np.max(table.num_bytes, initial=0))
    needed = _most_bytes(np.diff(table.firsts), table.num_bytes, batch_size - 1) + largest
    if min(needed, int(table.num_bytes.sum())) > table.window_bytes:
        raise DataError(
            f"loader.window_mb={table.window_bytes / MEBIBYTE:g} is too small for batches of {batch_size:,} samples in "
            f"blocks of up to {format_bytes(largest)}; set loader.window_mb={-(-needed // MEBIBYTE)}, or lower "
            "loader.batch_size or loader.block_mb"
        )


def _most_bytes(counts: Indices, num_bytes: Indices, num_samples: int) -> int:
    """An upper bound of the bytes of blocks that hold at most `num_samples` samples together."""
    fitting = (counts > 0) & (counts <= num_samples)
    counts, num_bytes = counts[fitting], num_bytes[fitting]
    densest = np.argsort(-(num_bytes / counts), kind="stable")
    ends = np.cumsum([0, *counts[densest]])
    whole = int(np.searchsorted(ends, num_samples, "right")) - 1
    most = int(num_bytes[densest[:whole]].sum())
    if whole < len(counts):  # a part of the next one
        block = densest[whole]
        most += -(-int(num_bytes[block]) * (num_samples - int(ends[whole])) // int(counts[block]))
    return most


def gap_note(split: str, source: Source, table: BlockTable | None) -> str | None:
    """What reading blocks with gaps costs; None if the samples have most of the bytes."""
    read = 0 if table is None else int(table.num_bytes.sum())
    useful = int(spans_of(source).size.sum()) if read else 0
    if useful + FORMAT_BYTES * len(source) >= FAIR_SHARE * read:
        return None
    return (
        f"{split}: with loader.order=blocks {useful / read:.0%} of the bytes read are samples of this split; the rest "
        "lies between them. A pack in which the split has files of its own is read faster"
    )
