"""The index of a pack as arrays: ids, where the members are, and labels; no Python object is made for a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Self, overload

import numpy as np

from runner.batch import Array, Indices
from runner.data.ids import Ids, Names
from runner.data.labels import Head, Labels
from runner.data.pack_document import PackDocument
from runner.data.pack_format import INDEX, PackField, column_name, member_name, padded_sizes
from runner.data.places import MemberPlaces
from runner.errors import DataError, reason

AGAIN = "copy it once more, or pack the data again"


@dataclass(frozen=True)
class MemberNames(Names):
    """The names of members, made from numbers when one is needed."""

    positions: Array
    word: str
    codes: Array
    """The number of each member's suffix."""
    suffixes: tuple[str, ...]

    def at(self, indices: Indices) -> list[str]:
        """The names of the members at `indices`."""
        pairs = zip(self.positions[indices].tolist(), self.codes[indices].tolist(), strict=True)
        return [member_name(position, self.word, self.suffixes[code]) for position, code in pairs]

    def select(self, indices: Indices) -> Self:
        """The names of the members at `indices`, in that order."""
        return replace(self, positions=self.positions[indices], codes=self.codes[indices])

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> str | Self:
        if isinstance(index, slice):
            return replace(self, positions=self.positions[index], codes=self.codes[index])
        return member_name(self.positions.item(index), self.word, self.suffixes[self.codes.item(index)])


@dataclass(frozen=True)
class PackedRows:
    """The rows of one split: ids, the members of each field, and labels."""

    ids: Ids
    members: tuple[MemberPlaces, ...]
    labels: Labels


def read_index(root: Path, document: PackDocument) -> dict[str, PackedRows]:
    """The rows of each split, in the order of the data that was packed.

    Columns are read one after the other, so that little more than what is kept is in memory.
    Raises `DataError` if the index is missing or damaged, or does not fit the shards.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    file, fields, heads = root / INDEX, document.packed_fields, document.packed_heads
    try:
        with parquet.ParquetFile(file, read_dictionary=[column_name("suffix", one.word) for one in fields]) as opened:
            names, rows = opened.schema_arrow.names, opened.metadata.num_rows
            expected = sum(map(document.num_samples, document.shards))
            if rows != expected:
                raise DataError(f"{file} does not fit its shards: it has {rows:,} rows of {expected:,}; {AGAIN}")
            if missing := [name for name in _needed(fields, heads) if name not in names]:
                raise DataError(f"{file} does not fit its pack: it has no column {missing[0]}; {AGAIN}")
            columns = _Columns(document, opened)
            found = {split: _rows(root, document, split, columns) for split in document.shards}
    except FileNotFoundError as error:
        raise DataError(f"the pack in {root} has no {INDEX}; {AGAIN}") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{file} cannot be read: {reason(error)}; {AGAIN}") from error
    pyarrow.default_memory_pool().release_unused()
    return found


def _needed(fields: Sequence[PackField], heads: Sequence[Head]) -> Iterator[str]:
    """The columns that every row needs."""
    yield from ("id", "shard", "offset", "position")
    for field in fields:
        yield from (column_name("size", field.word), column_name("suffix", field.word))
    yield from (column_name("label", head.name) for head in heads if head.has_column)


class _Columns:
    """The columns of an open index: read when they are needed, kept as arrays, cut into splits."""

    def __init__(self, document: PackDocument, opened: Any) -> None:
        ends = list(accumulate(map(document.num_samples, document.shards), initial=0))
        self._bounds = dict(zip(document.shards, pairwise(ends), strict=True))
        self._opened, self._arrays = opened, dict[str, Any]()

    def __contains__(self, name: str) -> bool:
        return name in self._opened.schema_arrow.names

    def of(self, split: str, name: str, convert: Callable[[Any], Any]) -> Any:
        """The column `name` as `convert` makes it of what is read; rows of one split."""
        if name not in self._arrays:
            self._arrays[name] = convert(self._opened.read([name])[name])
        start, end = self._bounds[split]
        return self._arrays[name][start:end]

    def ids(self, split: str) -> Ids:
        """The ids of one split, taken straight from the memory of the groups of rows that hold them."""
        start, end = self._bounds[split]
        data, edges, first = bytearray(), [np.zeros(1, np.int64)], 0
        for number in range(self._opened.num_row_groups):
            rows = self._opened.metadata.row_group(number).num_rows
            begin, stop = max(start, first), min(end, first + rows)
            if begin < stop:
                group = self._opened.read_row_group(number, ["id"])["id"]
                for chunk in group.slice(begin - first, stop - begin).chunks:
                    edges.append(_append(chunk, data))
            first += rows
        return Ids.of_bytes(data, np.concatenate(edges))


def _append(chunk: Any, data: bytearray) -> Array:
    """Append the bytes of a column's chunk to `data`; where each of its rows ends there."""
    _, offsets, buffer = chunk.buffers()
    edges = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
    ends: Array = edges[1:] - edges[0] + len(data)
    if buffer is not None:
        data += memoryview(buffer)[edges[0] : edges[-1]]
    return ends


def _rows(root: Path, document: PackDocument, split: str, columns: _Columns) -> PackedRows:
    shards, members = document.shards[split], []
    files = tuple(str(root / one.file) for one in shards)
    shard, offset = (columns.of(split, name, _numbers) for name in ("shard", "offset"))
    positions = columns.of(split, "position", _positions)
    for field in document.packed_fields:
        size = columns.of(split, column_name("size", field.word), _numbers)
        suffixes = columns.of(split, column_name("suffix", field.word), _Texts.of)
        names = MemberNames(positions, field.word, suffixes.codes, suffixes.texts)
        members.append(MemberPlaces(files, shard, offset, size, names))
        offset = offset + padded_sizes(size) if len(members) < len(document.fields) else offset
    _refuse_unfit(root, split, members[-1], np.array([one.bytes for one in shards]))
    heads = document.packed_heads
    labels = tuple(
        columns.of(split, column_name("label", head.name), _label_values) if head.has_column else np.empty(0, np.int64)
        for head in heads
    )
    weights = columns.of(split, "weight", _numbers) if "weight" in columns else None
    return PackedRows(columns.ids(split), tuple(members), Labels(heads, labels, weights))


@dataclass(frozen=True)
class _Texts:
    """A column of few different texts: a number for each row, and the texts."""

    codes: Array
    texts: tuple[str, ...]

    @classmethod
    def of(cls, column: Any) -> Self:
        whole = column.unify_dictionaries()
        codes = [np.from_dlpack(chunk.indices).astype(np.uint8) for chunk in whole.chunks]
        return cls(np.concatenate(codes), tuple(text.as_py() for text in whole.chunk(0).dictionary))

    def __getitem__(self, rows: slice) -> Self:
        return replace(self, codes=self.codes[rows])


def _refuse_unfit(root: Path, split: str, last: MemberPlaces, sizes: Array) -> None:
    """Raise `DataError` if a member is said to lie outside of its shard."""
    if not len(last.file):
        return
    known = last.file.min() >= 0 and last.file.max() < len(sizes) and last.offset.min() >= 0
    if not known or (last.offset + last.size > sizes[last.file]).any():
        raise DataError(f"{root / INDEX} does not fit the shards of {split}: members lie outside of them; {AGAIN}")


def _numbers(column: Any) -> Array:
    """The numbers of a column; `to_numpy` would import pandas, in 0.5 s."""
    values: Array = np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks])
    return values


def _positions(column: Any) -> Array:
    """Positions; they only name members, and fit half the memory."""
    values = _numbers(column)
    return values.astype(np.int32) if len(values) < np.iinfo(np.int32).max else values


def _label_values(column: Any) -> Array:
    """Labels: numbers, or a row of them for each sample; codes of classes are int64."""
    if hasattr(column.type, "list_size"):
        values: Array = np.concatenate([np.from_dlpack(chunk.flatten()) for chunk in column.chunks])
        return values.reshape(len(column), column.type.list_size)
    values = _numbers(column)
    return values.astype(np.int64) if values.dtype == np.int32 else values
