"""The folder of a pack: one process writes to it, and only the pack that it was begun for."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.data.pack_format import BEGUN, PACK_JSON
from runner.errors import DataError
from runner.messages import first_few
from runner.records.diff import changed_keys
from runner.records.files import to_json, write_atomically

LOCK = ".lock"
"""The file that the process locks which writes a pack."""

PATHS = (
    *(
        "root",
        "path",
        "manifest",
        "validation_manifest",
        "test_manifest",
        "partition",
        "labels",
        "validation_root",
        "test_root",
        "masks",
        "targets",
    ),
    *("shards", "validation_shards", "test_shards"),
)
"""Keys of data that say where it is; data that has moved is the same data."""

BEGINNINGS = {"encode": "pack.encode", "order": "pack.order", "seed": "pack.seed", "shard_mb": "pack.shard_mb"}
"""Keys of pack.json that are keys of the configuration."""


@dataclass(frozen=True)
class PackFolder:
    """The folder at `path`, for the pack that `identity` describes: all of pack.json but its shards.

    `state` is a digest of the names, sizes and times of the data's files. It is compared while a pack is not whole.
    """

    path: Path
    identity: Mapping[str, Any]
    state: str

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder, which is made if there is none, for this process during the block.

        Raises `DataError` if another process writes to it, it holds another pack, or files that are of no pack.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = self.path / LOCK
        with lock.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"another process writes to pack.to={self.path}; wait until it ends") from error
            try:
                self._refuse_another()
                if not self.is_whole:
                    write_atomically(self.path / BEGUN, to_json({**self.identity, "state": self.state}), overwrite=True)
                yield
            finally:
                lock.unlink(missing_ok=True)

    @property
    def is_whole(self) -> bool:
        """Whether all of the pack is there."""
        return (self.path / PACK_JSON).exists()

    def document(self) -> dict[str, Any]:
        """The pack.json of a whole pack."""
        document: dict[str, Any] = json.loads((self.path / PACK_JSON).read_text())
        return document

    def complete(self, sections: Mapping[str, Any]) -> None:
        """Write pack.json, with `sections` about what was written: the pack is whole."""
        write_atomically(self.path / PACK_JSON, to_json({**self.identity, **sections}), overwrite=True)

    def clear(self) -> None:
        """Remove what only a pack that is not whole needs."""
        (self.path / BEGUN).unlink(missing_ok=True)

    @cached_property
    def _plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(to_json({**self.identity, "state": self.state}))
        return plain

    def _refuse_another(self) -> None:
        file = self.path / (PACK_JSON if self.is_whole else BEGUN)
        if not file.exists():
            others = sorted(entry.name for entry in self.path.iterdir() if entry.name != LOCK)
            if others:
                raise DataError(
                    f"pack.to={self.path} must be a new or empty folder, or hold this pack; it holds "
                    f"{first_few(others)}; choose another folder"
                )
            return
        try:
            there = json.loads(file.read_text())
        except ValueError as error:
            raise DataError(f"{file} is damaged: it is not valid JSON; remove {self.path} and pack again") from error
        compared = [key for key in self._plain if key in there or key != "state"]
        before, now = ({key: _compared(document.get(key)) for key in compared} for document in (there, self._plain))
        changes = [_named(key, text) for key, text in changed_keys(before, now)]
        if changes:
            raise DataError(
                f"pack.to={self.path} holds another pack: {first_few(changes, most=3)}; choose another folder, or give "
                "the settings of that pack"
            )


def _compared(section: Any) -> Any:
    if not isinstance(section, dict):
        return section
    return {key: value for key, value in section.items() if key not in PATHS}


def _named(key: str, text: str) -> str:
    if key == "state":
        return "the files of the data have changed since it was begun"
    return text.replace(key, BEGINNINGS.get(key, key), 1)
