"""The index of a pack as arrays: ids, where the members are, and labels; no Python object is made for a sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Self

import numpy as np

from runner.batch import Array, Indices
from runner.data.ids import EncodedIds, Names
from runner.data.kept_columns import KEPT_FROM, KeptColumns, keep_columns
from runner.data.labels import Labels
from runner.data.pack_columns import STORED, IndexColumns, ParquetColumns
from runner.data.pack_document import PackDocument
from runner.data.pack_format import INDEX, column_name, member_name, padded_sizes
from runner.data.places import MemberPlaces, Stored
from runner.errors import DataError, reason

AGAIN = "copy it once more, or pack the data again"


@dataclass(frozen=True, eq=False, repr=False)
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

    def select(self, indices: Indices | slice) -> Self:
        """The names of the members at `indices`, in that order."""
        return replace(self, positions=self.positions[indices], codes=self.codes[indices])

    def __len__(self) -> int:
        return len(self.positions)

    def one(self, index: int) -> str:
        """The name of the member at `index`."""
        return member_name(self.positions.item(index), self.word, self.suffixes[self.codes.item(index)])


@dataclass(frozen=True)
class PackedRows:
    """The rows of one split: ids, the members of each field, and labels."""

    ids: EncodedIds
    members: tuple[MemberPlaces, ...]
    labels: Labels


def read_index(root: Path, document: PackDocument) -> dict[str, PackedRows]:
    """The rows of each split, in the order of the data that was packed.

    Columns of a large index are kept as arrays next to it, where one may write; from then on those are read.
    Raises `DataError` if the index is missing or damaged, or does not fit the shards.
    """
    file = root / INDEX
    try:
        with suppress(OSError, ValueError, KeyError, EOFError):  # not kept, of another index, or damaged
            return _splits(root, document, KeptColumns(file, document.shards))
        return _read_parquet(root, document, file)
    except FileNotFoundError as error:
        raise DataError(f"the pack in {root} has no {INDEX}; {AGAIN}") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {reason(error)}; {AGAIN}") from error


def _read_parquet(root: Path, document: PackDocument, file: Path) -> dict[str, PackedRows]:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(file, read_dictionary=list(_texts(document))) as opened:
            rows, names = opened.metadata.num_rows, opened.schema_arrow.names
            _refuse_other(file, document, rows, names)
            columns = ParquetColumns(opened)
            found = _splits(root, document, columns)
            if rows >= KEPT_FROM:
                kept = [name for name in (*_numbers(document), *_texts(document), "weight") if name in names]
                arrays = {name: columns.array(name, 0, rows) for name in kept}
                keep_columns(
                    file,
                    document.shards,
                    {**arrays, **_as_stored(file, document, arrays)},
                    {name: columns.texts(name) for name in _texts(document)},
                    {split: of_split.ids for split, of_split in found.items()},
                )
    except pyarrow.ArrowException as error:
        raise DataError(f"{file} cannot be read: {reason(error)}; {AGAIN}") from error
    pyarrow.default_memory_pool().release_unused()
    return found


def _refuse_other(file: Path, document: PackDocument, rows: int, names: Sequence[str]) -> None:
    """Raise `DataError` for an index with other rows or columns than the pack."""
    expected = sum(map(document.num_samples, document.shards))
    if rows != expected:
        raise DataError(f"{file} does not fit its shards: it has {rows:,} rows of {expected:,}; {AGAIN}")
    if missing := [name for name in ("id", *_numbers(document), *_texts(document)) if name not in names]:
        raise DataError(f"{file} does not fit its pack: it has no column {missing[0]}; {AGAIN}")


def _as_stored(file: Path, document: PackDocument, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Rows, offsets and sizes in the order in which the members of each split are stored.

    Taken from the rows each time, those of 27 million members would take a second before the first block is read.
    """
    rows = np.full(len(arrays["position"]), -1, np.int32)
    for start, end in _bounds(document):
        positions = arrays["position"][start:end]
        if len(positions) and positions.min() >= 0 and positions.max() < end - start:
            rows[start:end][positions] = np.arange(end - start, dtype=np.int32)
    if (rows < 0).any():
        raise DataError(f"{file} does not fit its shards: positions of members are not unique; {AGAIN}")
    stored = {f"{STORED}row": rows}
    for name in _extents(document):
        parts = [arrays[name][start:end].take(rows[start:end]) for start, end in _bounds(document)]
        stored[f"{STORED}{name}"] = np.concatenate(parts)
    return stored


def _extents(document: PackDocument) -> Iterator[str]:
    """The columns that say where members are in their shard."""
    yield "offset"
    yield from (column_name("size", field.word) for field in document.packed_fields)


def _numbers(document: PackDocument) -> Iterator[str]:
    """The columns of numbers that every row needs."""
    yield from ("shard", "position", *_extents(document))
    yield from (column_name("label", head.name) for head in document.packed_heads if head.has_column)


def _texts(document: PackDocument) -> Iterator[str]:
    """The columns of texts."""
    yield from (column_name("suffix", field.word) for field in document.packed_fields)


def _splits(root: Path, document: PackDocument, columns: IndexColumns) -> dict[str, PackedRows]:
    """The rows of each split. Raises `ValueError` if a column is not whole."""
    names = [*_numbers(document), *_texts(document), *(["weight"] if columns.has_weights else [])]
    names += [f"{STORED}{name}" for name in ("row", *_extents(document))] if columns.are_kept else []
    found = {}
    for split, (start, end) in zip(document.shards, _bounds(document), strict=True):
        arrays = {name: columns.array(name, start, end) for name in names}
        found[split] = _rows(root, document, split, arrays, columns, columns.ids(split, start, end))
    return found


def _bounds(document: PackDocument) -> Iterator[tuple[int, int]]:
    """The first row of each split, and the one after its last."""
    return pairwise(accumulate(map(document.num_samples, document.shards), initial=0))


def _rows(
    root: Path, document: PackDocument, split: str, arrays: Mapping[str, Array], columns: IndexColumns, ids: EncodedIds
) -> PackedRows:
    shards, members = document.shards[split], []
    files = tuple(str(root / one.file) for one in shards)
    fields, places = document.packed_fields, _places(document, arrays)
    stored = _places(document, arrays, STORED) if columns.are_kept else [None] * len(fields)
    for field, place, of_field in zip(fields, places, stored, strict=True):
        suffix = column_name("suffix", field.word)
        names = MemberNames(arrays["position"], field.word, arrays[suffix], columns.texts(suffix))
        in_order = None if of_field is None else Stored(arrays[f"{STORED}row"], *of_field)
        members.append(MemberPlaces(files, arrays["shard"], *place, names, in_order))
    if not columns.are_kept:
        _refuse_unfit(root, split, members[-1], np.array([one.bytes for one in shards]))
    labels = tuple(
        arrays[column_name("label", head.name)] if head.has_column else np.empty(0, np.int64)
        for head in document.packed_heads
    )
    return PackedRows(ids, tuple(members), Labels(document.packed_heads, labels, arrays.get("weight")))


def _places(document: PackDocument, arrays: Mapping[str, Array], begin: str = "") -> Iterator[tuple[Array, Array]]:
    """Offsets and sizes of the members of each field, from columns whose names begin so."""
    offset = arrays[f"{begin}offset"]
    for number, field in enumerate(document.packed_fields):
        size = arrays[begin + column_name("size", field.word)]
        yield offset, size
        if number + 1 < len(document.fields):
            offset = offset + padded_sizes(size)


def _refuse_unfit(root: Path, split: str, last: MemberPlaces, sizes: Array) -> None:
    """Raise `DataError` if a member is said to lie outside of its shard."""
    if not len(last.file):
        return
    known = last.file.min() >= 0 and last.file.max() < len(sizes) and last.offset.min() >= 0
    if not known or (last.offset + last.size > sizes[last.file]).any():
        raise DataError(f"{root / INDEX} does not fit the shards of {split}: members lie outside of them; {AGAIN}")
