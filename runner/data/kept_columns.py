"""Columns of a large pack's index that are kept next to it, as arrays that are mapped into memory.

They are ready at once, without pyarrow; of 27 million rows only those in use are in memory.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from xxhash import xxh3_128_hexdigest

from runner.batch import Array
from runner.data.ids import EncodedIds
from runner.data.pack_columns import IndexColumns
from runner.data.pack_document import PackShard
from runner.temporary import remove, temporary_path

KEPT_FROM = 1_000_000
"""Rows from which on columns are kept; fewer are read from Parquet in a moment."""
KEPT = ".columns"
"""The folder with the arrays, next to the index."""
STATE = "state.json"

FOOTER_BYTES = 1 << 20
"""The end of an index by which it is known: Parquet has the limits of every column there."""

Shards = Mapping[str, Sequence[PackShard]]
"""The shards of each split."""


class KeptArray(np.ndarray):
    """Rows of an `.npy` file, which the operating system reads when they are used, and may forget.

    Worker processes get the file's name in place of the rows. What is taken or computed from it is a plain array.
    """

    file: Path | None = None
    rows: slice

    @classmethod
    def open(cls, file: Path, start: int = 0, stop: int | None = None) -> Self:
        """The rows from `start` to `stop` of `file`. Raises `OSError` or `ValueError` if it is not whole."""
        mapped = np.load(file, mmap_mode="r")
        if len(mapped) < (stop or 0):
            raise ValueError(f"{file} has {len(mapped)} rows of {stop}")
        with suppress(AttributeError, OSError):  # Windows has no such advice; elsewhere it is only that
            mapped._mmap.madvise(mmap.MADV_WILLNEED)  # in one go; rows at random would seek for each
        rows: Self = mapped[start:stop].view(cls)
        rows.file, rows.rows = file, slice(start, stop)
        return rows

    def __getitem__(self, key: Any) -> Any:
        return self.view(np.ndarray)[key]

    def __array_wrap__(self, array: Array, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else array

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self.file is None:
            return np.array, (np.array(self),)
        return KeptArray.open, (self.file, self.rows.start, self.rows.stop)


class KeptColumns(IndexColumns):
    """The arrays that were kept of an index, whose members lay in `shards`.

    Raises `OSError` or `ValueError` if there are none of this index and these shards, or they are not whole.
    """

    are_kept = True

    def __init__(self, index: Path, shards: Shards) -> None:
        self._folder = index.with_name(KEPT)
        state = json.loads((self._folder / STATE).read_text())
        if state["index"] != _state(index, shards):
            raise ValueError("the index has changed")
        self.has_weights = (self._folder / "weight.npy").exists()
        self._texts: Mapping[str, Sequence[str]] = state["texts"]

    def array(self, name: str, start: int, end: int) -> Array:
        """Rows of the column."""
        return KeptArray.open(self._folder / f"{name}.npy", start, end)

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a column."""
        return tuple(self._texts[name])

    def ids(self, split: str, start: int, end: int) -> EncodedIds:
        """The ids of one split."""
        data, edges, num = self._folder / f"{split}.ids.npy", self._folder / f"{split}.edges.npy", end - start
        return EncodedIds(KeptArray.open(data), KeptArray.open(edges, 0, num), KeptArray.open(edges, 1, num + 1))


def keep_columns(
    index: Path,
    shards: Shards,
    arrays: Mapping[str, Array],
    texts: Mapping[str, Iterable[str]],
    ids: Mapping[str, EncodedIds],
) -> None:
    """Keep columns, the texts of those that have some, and the ids of each split.

    Nothing happens where one may not write.
    """
    folder = temporary_path(index.with_name(KEPT))
    with suppress(OSError):
        folder.mkdir()
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        for split, of_split in ids.items():
            np.save(folder / f"{split}.ids.npy", of_split.data)
            np.save(folder / f"{split}.edges.npy", np.append(of_split.starts[:1], of_split.ends))
        state = {"index": _state(index, shards), "texts": {name: list(values) for name, values in texts.items()}}
        (folder / STATE).write_text(json.dumps(state))
        remove(index.with_name(KEPT))
        folder.rename(index.with_name(KEPT))
    remove(folder)


def _state(index: Path, shards: Shards) -> list[Any]:
    """What distinguishes an index and its shards from others, wherever they are copied."""
    size = index.stat().st_size
    with index.open("rb") as file:
        file.seek(max(0, size - FOOTER_BYTES))
        footer = xxh3_128_hexdigest(file.read())
    sizes = json.dumps([[split, *(shard.bytes for shard in of_split)] for split, of_split in shards.items()])
    return [size, footer, xxh3_128_hexdigest(sizes.encode())]
