"""contents/: digests of the files that a run read, by sample, taken when a file is read for the first time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import xxhash

from runner.batch import Array, Indices
from runner.data.source import Source
from runner.data.views import Wrapper

CONTENTS = "contents"

ROW = np.dtype([("name", "<u8"), ("content", "u1", (16,))])
"""One sample: XXH3-64 of its id, 0 if its file was not read, and XXH3-128 of the file's bytes."""

BLOCK = 1 << 20
"""The number of bytes, and of rows, digested per step."""


@dataclass(frozen=True)
class ContentsTable:
    """The rows of one split's samples, mapped from a file, so that threads and processes write theirs directly.

    Each row is written once; two readers of one file write the same bytes.
    """

    file: Path

    @classmethod
    def open(cls, file: Path, num_samples: int) -> Self:
        """The table in `file`; a new one if there is none with `num_samples` rows."""
        if not (file.exists() and len(np.load(file, mmap_mode="r")) == num_samples):
            file.parent.mkdir(exist_ok=True)
            np.lib.format.open_memmap(file, "w+", ROW, (num_samples,))
        return cls(file)

    @cached_property
    def rows(self) -> Array:
        """Shape `(num_samples,)`, dtype `ROW`."""
        return np.asarray(np.load(self.file, mmap_mode="r+"))

    def are_known(self, indices: Indices) -> Array:
        """Whether the digest of each sample is known, as booleans of shape `(n,)`."""
        known: Array = self.rows["name"][indices] != 0
        return known

    def note(self, index: int, sample_id: str, digest: bytes) -> None:
        """Note the digest of the file of sample `index`."""
        row = self.rows[index : index + 1]
        row["content"] = np.frombuffer(digest, np.uint8)
        row["name"] = name_digest(sample_id)

    def __getstate__(self) -> dict[str, Any]:
        # Each process maps the file itself.
        return {"file": self.file}


class Contents:
    """The tables of a run by split, in the run's folder, and digests of `files` that describe or hold many samples."""

    def __init__(self, folder: Path, files: Iterable[Path] = ()) -> None:
        self._folder = folder / CONTENTS
        self._files = {file.name: _file_digest(file) for file in files}
        self._tables: dict[str, ContentsTable] = {}

    def table(self, split: str, num_samples: int) -> ContentsTable:
        """The table of one split."""
        self._tables[split] = ContentsTable.open(self._folder / f"{split}.npy", num_samples)
        return self._tables[split]

    def section(self) -> dict[str, Any]:
        """Its part of run.json: how many files were digested, of how many, and one digest of all if all were."""
        known = sum(int(np.count_nonzero(table.rows["name"])) for table in self._tables.values())
        total = sum(len(table.rows) for table in self._tables.values())
        return {
            "known": known + len(self._files),
            "of": total + len(self._files),
            "digest": self._digest() if known == total else None,
            "files": self._files,
        }

    def _digest(self) -> str:
        digest = xxhash.xxh3_128("".join(self._files.values()).encode())
        for table in self._tables.values():
            for begin in range(0, len(table.rows), BLOCK):
                digest.update(table.rows["content"][begin : begin + BLOCK].tobytes())
        return digest.hexdigest()


def name_digest(sample_id: str) -> int:
    """XXH3-64 of an id; never 0.

    >>> name_digest("cat/1.jpg") == name_digest("cat/2.jpg")
    False
    """
    return xxhash.xxh3_64_intdigest(sample_id.encode("utf-8", "surrogatepass")) or 1


def read_contents(folder: Path) -> Mapping[str, Array]:
    """The rows of each split of the run in `folder`, dtype `ROW`; empty for a run of an earlier version."""
    files = sorted((folder / CONTENTS).glob("*.npy"))
    return {file.stem: np.asarray(np.load(file, mmap_mode="r")) for file in files}


def changed_files(before: Array, now: Array) -> tuple[Indices, int]:
    """The positions in `now` of samples whose file has changed, and the number that cannot be compared.

    Both tables have dtype `ROW`; samples are matched by id, at any position.

    >>> before, now = np.zeros(3, ROW), np.zeros(3, ROW)
    >>> before["name"], now["name"] = [1, 2, 3], [3, 1, 0]
    >>> before["content"][2], now["content"][0] = 7, 8
    >>> changed, unknown = changed_files(before, now)
    >>> changed.tolist(), unknown
    ([0], 1)
    """
    in_place = np.flatnonzero(_are_in_place(before, now))
    there, here = (_known_elsewhere(rows, in_place) for rows in (before, now))
    _, moved_there, moved_here = np.intersect1d(before["name"][there], now["name"][here], return_indices=True)
    there, here = np.append(in_place, there[moved_there]), np.append(in_place, here[moved_here])
    differ = (before["content"][there] != now["content"][here]).any(axis=1)
    return np.sort(here[differ]), len(now) - len(here)


def _are_in_place(before: Array, now: Array) -> Array:
    """Whether both tables know the same sample at a position, as booleans; it saves most runs a sort."""
    length = min(len(before), len(now))
    names = before["name"][:length], now["name"][:length]
    in_place: Array = (names[0] == names[1]) & (names[0] != 0)
    return in_place


def _known_elsewhere(rows: Array, in_place: Indices) -> Indices:
    """The positions of known samples that are not `in_place`."""
    known = rows["name"] != 0
    known[in_place] = False
    return np.flatnonzero(known)


def _file_digest(file: Path) -> str:
    digest = xxhash.xxh3_128()
    with file.open("rb", buffering=0) as opened:
        while block := opened.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class HashedFiles(Wrapper):
    """The samples of `source`; a digest of each one's file goes to `table`, once."""

    table: ContentsTable

    def read(self, index: int, out: Array | None = None) -> Array:
        """The array of sample `index`."""
        values = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        self.read_many(np.array([index]), values[None])
        return values

    def read_many(self, indices: Indices, out: Array) -> None:
        """Read the samples at `indices` into the rows of `out`."""
        known = self.table.are_known(indices)
        if known.all():
            self.source.read_many(indices, out)
            return
        for row, index in enumerate(indices.tolist()):
            if known[row]:
                self.source.read(index, out[row])
            elif (digest := self.source.read_hashed(index, out[row])) is not None:
                self.table.note(index, self.source.ids[index], digest)


def with_contents(source: Source, contents: Contents | None, split: str) -> Source:
    """`source` with digests noted in the table of its split; unchanged without `contents` or without files."""
    if contents is None or not source.has_files:
        return source
    return HashedFiles(source, contents.table(split, len(source)))
