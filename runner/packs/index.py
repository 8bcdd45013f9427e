"""index.parquet: a row for each sample of a pack, in the order of the source, merged from the parts of the shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array
from runner.data.ids import names_at
from runner.data.labels import Labels
from runner.data.pack_format import INDEX, column_name
from runner.data.source import Source
from runner.packs.order import id_bytes
from runner.packs.shards import FinishedShard, part_of
from runner.records.files import replacing

ROWS = 1 << 18
"""Rows of a group of the table, which are in memory as Python objects at one time."""


def write_index(folder: Path, splits: Mapping[str, Source], shards: Mapping[str, Sequence[FinishedShard]]) -> None:
    """Write the index of all splits, in place of one that an earlier pack left."""
    import pyarrow.parquet as parquet

    with replacing(folder / INDEX, overwrite=True) as temporary, temporary.open("wb") as file:
        writer = None
        for split, source in splits.items():
            for table in _tables(folder, split, source, shards[split]):
                if writer is None:
                    texts = [name for name in table.column_names if name == "split" or name.startswith("suffix")]
                    writer = parquet.ParquetWriter(file, table.schema, compression="none", use_dictionary=texts)
                writer.write_table(table)
        if writer is not None:
            writer.close()


def remove_parts(folder: Path, shards: Mapping[str, Sequence[FinishedShard]]) -> None:
    """Remove the parts of the index, which holds all that they hold."""
    for shard in (shard for of_split in shards.values() for shard in of_split):
        part_of(folder / shard.file).unlink(missing_ok=True)


def _tables(folder: Path, split: str, source: Source, shards: Sequence[FinishedShard]) -> Iterator[Any]:
    """The rows of a split, `ROWS` of them at a time."""
    import pyarrow
    import pyarrow.parquet as parquet

    if not shards:
        return
    parts = pyarrow.concat_tables([parquet.read_table(part_of(folder / shard.file)) for shard in shards])
    order = np.argsort(parts["row"].to_numpy(), kind="stable")
    for start in range(0, len(order), ROWS):
        chosen = parts.take(pyarrow.array(order[start : start + ROWS])).replace_schema_metadata(None)
        rows = chosen["row"].to_numpy()
        ids = pyarrow.array(list(map(id_bytes, names_at(source.ids, rows))), pyarrow.binary())
        names = pyarrow.DictionaryArray.from_arrays(np.zeros(len(rows), np.int8), [split]).cast(pyarrow.string())
        others = dict(zip(chosen.column_names, chosen.columns, strict=True))
        del others["row"]
        yield pyarrow.table({"id": ids, "split": names, **others, **_labels(source.labels.take(rows))})


def _labels(labels: Labels) -> Mapping[str, Any]:
    columns = {
        column_name("label", head.name): _column(column)
        for head, column in zip(labels.heads, labels.columns, strict=True)
        if head.has_column
    }
    return columns if labels.weights is None else {**columns, "weight": labels.weights}


def _column(values: Array) -> Any:
    """Labels as a column: numbers, or lists of one length."""
    import pyarrow

    plain = values.astype(np.int32) if values.dtype == np.int64 else values
    if plain.ndim == 1:
        return plain
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(plain.ravel()), plain.shape[1])
