"""pack.json: what a pack holds, and whether all of its shards are there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.data.labels import Head, read_heads
from runner.data.pack_format import BEGUN, PACK_JSON, VERSION, PackField
from runner.errors import DataError, reason
from runner.messages import first_few, plural


class PackShard(BaseModel):
    """A shard, with its samples and its size."""

    model_config = ConfigDict(frozen=True, strict=True)

    file: str
    samples: int
    bytes: int


class PackDocument(BaseModel):
    """The content of pack.json that reading needs; further keys may hold anything."""

    model_config = ConfigDict(frozen=True, strict=True)

    version: int
    encode: str
    heads: list[dict[str, Any]]
    fields: list[dict[str, Any]]
    data: dict[str, Any]
    shards: dict[str, list[PackShard]]

    @property
    def packed_heads(self) -> tuple[Head, ...]:
        """The heads of the data."""
        return read_heads(self.heads)

    @property
    def packed_fields(self) -> tuple[PackField, ...]:
        """The arrays of a sample."""
        return tuple(map(PackField.of, self.fields))

    def num_samples(self, split: str) -> int:
        """Samples of a split."""
        return sum(shard.samples for shard in self.shards[split])

    def holds(self, what: str) -> bool:
        """Whether an array of each sample is an `image`, a `mask` or an `array`."""
        return any(field.holds == what for field in self.packed_fields)


def read_pack(root: Path) -> PackDocument:
    """The document of the pack in `root`, all of whose shards are there, whole.

    Raises `DataError` as `load_pack` does, and for shards that are missing or of another size.
    """
    document = load_pack(root)
    if faults := list(_faults(root, document)):
        them = "it" if len(faults) == 1 else "them"
        listed = first_few(faults, most=3)
        raise DataError(f"the pack in {root} is not whole: {listed}; copy {them} once more, or pack the data again")
    return document


def load_pack(root: Path) -> PackDocument:
    """The document of the pack in `root`.

    Raises `DataError` if there is no whole pack, or one of another version of the format.
    """
    file = root / PACK_JSON
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(_no_pack(root)) from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise DataError(f"{file} is damaged: it is not valid JSON; pack the data again") from error
    version = content.get("version") if isinstance(content, dict) else None
    if isinstance(version, int) and version != VERSION:
        raise DataError(
            f"{file} must be of version {VERSION}, got version {version}; read it with the version of keras-runner "
            "that wrote it, or pack the data again"
        )
    try:
        return PackDocument.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its content"
        raise DataError(f"{file} is damaged: {where}: {first['msg'].lower()}; pack the data again") from error


def _no_pack(root: Path) -> str:
    if (root / BEGUN).exists():
        return f"the pack in {root} is not whole; start the command again that wrote it: it continues"
    return f"{root} holds no {PACK_JSON}, so it is no pack; mode=pack writes one"


def _faults(root: Path, document: PackDocument) -> Iterator[str]:
    """What is wrong with shards: missing ones, and those of another size."""
    for shard in (shard for of_split in document.shards.values() for shard in of_split):
        try:
            size = (root / shard.file).stat().st_size
        except OSError as error:
            yield f"{shard.file}: {reason(error)}"
            continue
        if size != shard.bytes:
            yield f"{shard.file} has {plural(size, 'byte')} of {shard.bytes:,}"
