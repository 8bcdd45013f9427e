"""Shards: plain tar files of samples, each with a part of the index, which appear together once they are whole."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import xxhash

from runner.batch import Array
from runner.data.pack_format import PackField, column_name, member_name, padded, shard_name
from runner.packs.encoders import Content
from runner.place import Bytes

PART = ".parquet"
"""The suffix of a shard's part of the index."""

BUFFER = 1 << 20
MODE = 0o644
END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class FinishedShard:
    """A shard that is whole: its file, its size and digest, and the rows of its samples in their split."""

    file: str
    num_bytes: int
    digest: str
    rows: Array

    def document(self) -> dict[str, Any]:
        """Its entry in pack.json."""
        return {"file": self.file, "samples": len(self.rows), "bytes": self.num_bytes, "xxh3": self.digest}


def part_of(shard: Path) -> Path:
    """The part of the index that belongs to a shard."""
    return shard.with_name(f".{shard.stem}{PART}")


def finished_shards(folder: Path, split: str) -> Iterator[FinishedShard]:
    """The whole shards of a split, in order; the first that is missing, or has another size, ends them."""
    import pyarrow.parquet as parquet

    for number in range(10**6):
        shard = folder / shard_name(split, number)
        with suppress(OSError, ValueError, KeyError):  # ValueError: pyarrow's for a damaged file
            part = parquet.read_table(part_of(shard), columns=["row"])
            metadata = {key.decode(): value.decode() for key, value in (part.schema.metadata or {}).items()}
            num_bytes = int(metadata["bytes"])
            if shard.stat().st_size == num_bytes:
                yield FinishedShard(shard.name, num_bytes, metadata["xxh3"], part["row"].to_numpy())
                continue
        return


def header(name: str, size: int) -> bytes:
    """The header of a member: a plain file, the same for everyone who writes it at any time."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, MODE
    return info.tobuf(tarfile.USTAR_FORMAT)


def sample_bytes(contents: Sequence[Content], document: bytes) -> int:
    """Bytes that a sample takes in a shard."""
    return sum(tarfile.BLOCKSIZE + padded(len(data)) for data in (*(one.data for one in contents), document))


@dataclass
class ShardWriter:
    """Writes one shard and its part of the index under temporary names; `finish` gives both their names.

    `first` is the position of its first sample in the split.
    """

    folder: Path
    split: str
    number: int
    first: int
    fields: tuple[PackField, ...]
    num_bytes: int = 0
    _rows: list[int] = field(default_factory=list)
    _offsets: list[int] = field(default_factory=list)
    _sizes: list[tuple[int, ...]] = field(default_factory=list)
    _suffixes: list[str] = field(default_factory=list)
    _digests: list[bytes] = field(default_factory=list)
    _digest: Any = field(default_factory=xxhash.xxh3_128)

    def __enter__(self) -> Self:
        self._file = self._temporary(self.path).open("wb", buffering=BUFFER)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def path(self) -> Path:
        """The file of the shard."""
        return self.folder / shard_name(self.split, self.number)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: int, contents: Sequence[Content], document: bytes) -> None:
        """Add sample `row` of the split: its members, and the JSON that describes it."""
        position = self.first + len(self)
        self._rows.append(row)
        self._offsets.append(self.num_bytes + tarfile.BLOCKSIZE)
        self._sizes.append(tuple(len(one.data) for one in contents))
        self._suffixes += [one.suffix for one in contents]
        self._digests += [xxhash.xxh3_128_digest(one.data) for one in contents]
        for one, part in zip(contents, self.fields, strict=True):
            self._write(member_name(position, part.word, one.suffix), one.data)
        self._write(member_name(position, "", ".json"), document)

    def finish(self) -> FinishedShard:
        """Write the end and the part of the index, and give both files their names."""
        self._put(END)
        self._put(bytes(-self.num_bytes % tarfile.RECORDSIZE))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        shard = FinishedShard(self.path.name, self.num_bytes, self._digest.hexdigest(), np.array(self._rows, np.int64))
        self._write_part(shard)
        # A shard counts once its part is there.
        self._temporary(self.path).replace(self.path)
        self._temporary(part_of(self.path)).replace(part_of(self.path))
        return shard

    def _write(self, name: str, data: Bytes) -> None:
        self._put(header(name, len(data)))
        self._put(data)
        self._put(bytes(padded(len(data)) - len(data)))

    def _put(self, data: Bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.num_bytes += len(data)

    def _write_part(self, shard: FinishedShard) -> None:
        import pyarrow
        import pyarrow.parquet as parquet

        columns = self._columns(shard.rows)
        table = pyarrow.table(columns).replace_schema_metadata({"bytes": str(shard.num_bytes), "xxh3": shard.digest})
        temporary = self._temporary(part_of(self.path))
        with temporary.open("wb") as file:
            parquet.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())

    def _columns(self, rows: Array) -> Mapping[str, Any]:
        import pyarrow

        sizes, count = np.array(self._sizes, np.int64).reshape(len(rows), -1), len(self.fields)
        digests = {
            column_name("xxh3", part.word): pyarrow.array(self._digests[number::count], pyarrow.binary(16))
            for number, part in enumerate(self.fields)
        }
        return {
            "row": rows,
            "shard": np.full(len(rows), self.number, np.int32),
            "offset": np.array(self._offsets, np.int64),
            **{column_name("size", part.word): sizes[:, number] for number, part in enumerate(self.fields)},
            **{
                column_name("suffix", part.word): self._suffixes[number::count]
                for number, part in enumerate(self.fields)
            },
            **digests,
            "position": self.first + np.arange(len(rows)),
        }

    @staticmethod
    def _temporary(path: Path) -> Path:
        return path.with_name(f".tmp-{path.name.lstrip('.')}")


def description(document: Mapping[str, Any]) -> bytes:
    """The JSON of a sample; what is not UTF-8 in its id is escaped."""
    return json.dumps(document, separators=(",", ":")).encode()
