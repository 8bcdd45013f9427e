"""The columns of a pack's index, and how they are read from Parquet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from runner.batch import Array
from runner.data.ids import EncodedIds

STORED = "stored-"
"""Begins the name of a column whose rows are in the order in which the members are stored; `row` is where they were."""


class IndexColumns(ABC):
    """The columns of an index by name."""

    has_weights: bool
    """Whether there is a column of weights."""
    are_kept: bool
    """Whether these were kept: all members lie in their shards, and `STORED` columns are there."""

    @abstractmethod
    def array(self, name: str, start: int, end: int) -> Array:
        """Numbers of the rows from `start` to `end`, or rows of them; of a column of texts the numbers of the texts.

        Raises `ValueError` if the column ends before.
        """

    @abstractmethod
    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a column by their number; known once its array is read."""

    @abstractmethod
    def ids(self, split: str, start: int, end: int) -> EncodedIds:
        """The ids of one split: of the rows from `start` to `end`."""


class ParquetColumns(IndexColumns):
    """The columns of an open Parquet file, read one after the other, so that little is in memory that is not kept."""

    are_kept = False

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self.has_weights = "weight" in opened.schema_arrow.names
        self._arrays: dict[str, Array] = {}
        self._texts: dict[str, tuple[str, ...]] = {}

    def array(self, name: str, start: int, end: int) -> Array:
        """Rows of the column, which is read once."""
        return self._column(name)[start:end]

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a column that was read."""
        return self._texts[name]

    def ids(self, split: str, start: int, end: int) -> EncodedIds:
        """Ids straight from the memory of the groups of rows that hold them."""
        data, edges, first = bytearray(), [np.zeros(1, np.int64)], 0
        for number in range(self._opened.num_row_groups):
            rows = self._opened.metadata.row_group(number).num_rows
            begin, stop = max(start, first), min(end, first + rows)
            if begin < stop:
                group = self._opened.read_row_group(number, ["id"])["id"]
                for chunk in group.slice(begin - first, stop - begin).chunks:
                    edges.append(_append(chunk, data))
            first += rows
        ends = np.concatenate(edges)
        return EncodedIds(np.frombuffer(data, np.uint8), ends[:-1], ends[1:])

    def _column(self, name: str) -> Array:
        if name not in self._arrays:
            column = self._opened.read([name])[name]
            is_text = hasattr(column.type, "index_type")
            self._arrays[name] = self._codes(name, column) if is_text else _values(name, column)
        return self._arrays[name]

    def _codes(self, name: str, column: Any) -> Array:
        whole = column.unify_dictionaries()
        self._texts[name] = tuple(text.as_py() for text in whole.chunk(0).dictionary)
        codes: Array = np.concatenate([np.from_dlpack(chunk.indices).astype(np.uint16) for chunk in whole.chunks])
        return codes


def _append(chunk: Any, data: bytearray) -> Array:
    """Append the bytes of a column's chunk to `data`; where each of its rows ends there."""
    _, offsets, buffer = chunk.buffers()
    edges = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
    ends: Array = edges[1:] - edges[0] + len(data)
    if buffer is not None:
        data += memoryview(buffer)[edges[0] : edges[-1]]
    return ends


def _values(name: str, column: Any) -> Array:
    """The numbers of a column, or rows of them. Codes of classes become int64, and positions, which only name, int32.

    `to_numpy` of pyarrow would import pandas, in 0.5 s.
    """
    if hasattr(column.type, "list_size"):
        rows = np.concatenate([np.from_dlpack(chunk.flatten()) for chunk in column.chunks])
        return rows.reshape(len(column), column.type.list_size)
    values: Array = np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks])
    if name == "position":
        return values.astype(np.int32)
    return values.astype(np.int64) if values.dtype == np.int32 and name.startswith("label") else values
