"""The XXH3-128 of each member of a pack, as its index has it; only `mode=check` reads and compares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array, Indices
from runner.data.pack_document import PackDocument
from runner.data.pack_format import INDEX, column_name
from runner.data.pack_index import AGAIN, read_index
from runner.data.place_order import by_place
from runner.errors import DataError, reason
from runner.place import Place

DIGEST = np.dtype("V16")
"""The dtype of digests: 16 bytes each."""


@dataclass(frozen=True)
class PackDigests:
    """The digests of members, by shard and offset."""

    shards: Mapping[str, tuple[Indices, Array]]
    """Of each shard the offsets of its members in ascending order, and their digests."""

    def __call__(self, place: Place) -> bytes | None:
        """The digest of the member at `place`; None if the index has none."""
        if place.file not in self.shards:
            return None
        offsets, digests = self.shards[place.file]
        row = int(np.searchsorted(offsets, place.offset))
        return digests[row].tobytes() if row < len(offsets) and offsets[row] == place.offset else None


def read_digests(root: Path, document: PackDocument) -> PackDigests:
    """The digests of the members of the pack in `root`; none of an index without them.

    Raises `DataError` as `read_index` does.
    """
    shards: dict[str, tuple[Indices, Array]] = {}
    rows, columns = read_index(root, document), _columns(root / INDEX, document)
    bounds = pairwise(accumulate(map(document.num_samples, document.shards), initial=0))
    for split, (start, end) in zip(document.shards, bounds, strict=True) if columns else ():
        members = rows[split].members
        file = np.concatenate([of_field.file for of_field in members])
        indices, offsets = by_place(file, np.concatenate([of_field.offset for of_field in members]))
        digests = np.concatenate([column[start:end] for column in columns])[indices]
        files = members[0].files
        ends = np.cumsum([0, *np.bincount(file, minlength=len(files))]).tolist()
        for name, (first, stop) in zip(files, pairwise(ends), strict=True):
            shards[name] = offsets[first:stop], digests[first:stop]
    return PackDigests(shards)


def _columns(index: Path, document: PackDocument) -> list[Array]:
    """The digests of each field's members, by row; empty if the index has none."""
    import pyarrow
    import pyarrow.parquet as parquet

    names = [column_name("xxh3", field.word) for field in document.packed_fields]
    try:
        with parquet.ParquetFile(index) as opened:
            if not set(names) <= set(opened.schema_arrow.names):
                return []
            return [_values(opened.read([name])[name]) for name in names]
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{index} cannot be read: {reason(error)}; {AGAIN}") from error


def _values(column: Any) -> Array:
    """The values of a column of 16 bytes each, straight from its memory."""
    chunks = [
        np.frombuffer(chunk.buffers()[1], DIGEST, len(chunk), chunk.offset * DIGEST.itemsize)
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(chunks) if chunks else np.empty(0, DIGEST)
