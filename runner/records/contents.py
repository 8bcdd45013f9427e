"""contents/: digests of the files that a run read, by sample, taken when a file is read for the first time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import xxhash

from runner.batch import Array, Indices
from runner.data.source import Source
from runner.data.views import Wrapper
from runner.errors import RunnerError
from runner.fields import Values
from runner.shared_memory import SharedArray, SharedFile

CONTENTS = "contents"
HELD = ".held"
"""The suffix of a table that takes no table's place yet."""

ROW = np.dtype([("name", "<u8"), ("content", "u1", (16,))])
"""One sample: XXH3-64 of its id, 0 if its file was not read, and XXH3-128 of the file's bytes."""

BLOCK = 1 << 20
"""The number of bytes, and of rows, digested per step."""


class ContentsTable:
    """The rows of one split's samples in an `.npy` file, to which threads and processes write theirs directly.

    Each row is written once; two readers of one file write the same bytes. Room on the disk for all rows is taken when
    the table is opened, and the file is not mapped: a full disk would kill the process without a message.
    """

    def __init__(self, file: Path, num_samples: int, begin: int) -> None:
        self.file, self._num_samples, self._begin = file, num_samples, begin
        with _reporting_errors(file):
            self._shared = SharedFile(file)
            self._shared.reserve(begin + num_samples * ROW.itemsize)
        self._known = SharedArray((num_samples,), np.dtype(np.bool_))
        for start in range(0, num_samples, BLOCK):
            rows = self._rows(start)
            self._known.array[start : start + len(rows)] = rows["name"] != 0

    @classmethod
    def open(cls, file: Path, num_samples: int) -> Self:
        """The table in `file`; a new one if there is none with `num_samples` rows.

        Raises `RunnerError` if it cannot be written, or the disk has no room for it.
        """
        header = _read_header(file)
        if header is None or header.num_samples != num_samples:
            with _reporting_errors(file):
                file.parent.mkdir(exist_ok=True)
                file.unlink(missing_ok=True)
                header = _write_header(file, num_samples)
        return cls(file, num_samples, header.begin)

    def move(self, file: Path) -> None:
        """Give the table the name `file`, in place of a table that has it; what has opened it stays valid."""
        self.file = self.file.replace(file)

    @property
    def num_known(self) -> int:
        """Number of samples whose digest is known."""
        return int(np.count_nonzero(self._known.array))

    def __len__(self) -> int:
        return self._num_samples

    def are_known(self, indices: Indices) -> Array:
        """Whether the digest of each sample is known, as booleans of shape `(n,)`."""
        return self._known.array[indices]

    def note(self, index: int, sample_id: str, digest: bytes) -> None:
        """Note the digest of the file of sample `index`. Raises `RunnerError` if that cannot be written."""
        row = name_digest(sample_id).to_bytes(8, "little") + digest
        with _reporting_errors(self.file):
            self._shared.write(row, self._begin + index * ROW.itemsize)
        self._known.array[index] = True

    def take(self, rows: Array) -> None:
        """Note what another table of the same samples knows; while nothing else is noted."""
        for start in range(0, len(rows), BLOCK):
            own, others = self._rows(start).copy(), rows[start : start + BLOCK]
            new = (own["name"] == 0) & (others["name"] != 0)
            own[new] = others[new]
            with _reporting_errors(self.file):
                self._shared.write(own.tobytes(), self._begin + start * ROW.itemsize)
            self._known.array[start : start + len(own)] |= new

    def blocks(self) -> Iterator[Array]:
        """All rows, dtype `ROW`, `BLOCK` of them at a time."""
        return map(self._rows, range(0, self._num_samples, BLOCK))

    def _rows(self, start: int) -> Array:
        count = min(BLOCK, self._num_samples - start)
        return np.frombuffer(self._shared.read(count * ROW.itemsize, self._begin + start * ROW.itemsize), ROW)


class _Header(NamedTuple):
    """The header of a table: the number of rows, and where they begin, in bytes."""

    num_samples: int
    begin: int


def _read_header(file: Path) -> _Header | None:
    """The header of a table; None if the file is missing or is no table."""
    try:
        with file.open("rb") as opened:
            np.lib.format.read_magic(opened)
            shape, _, dtype = np.lib.format.read_array_header_1_0(opened)
            return _Header(shape[0], opened.tell()) if dtype == ROW and len(shape) == 1 else None
    except Exception:  # NumPy's parser may raise anything for a damaged header
        return None


def _write_header(file: Path, num_samples: int) -> _Header:
    with file.open("wb") as opened:
        header = {"descr": np.lib.format.dtype_to_descr(ROW), "fortran_order": False, "shape": (num_samples,)}
        np.lib.format.write_array_header_1_0(opened, header)
        return _Header(num_samples, opened.tell())


@contextmanager
def _reporting_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunnerError(f"cannot write {file}: {error.strerror or error}") from error


class Contents:
    """The tables of a run by split, in the run's folder, and digests of `files` that describe or hold many samples.

    If `held`, the tables that are there do not change before `begin`: rows are written to copies, which `close` removes
    if it comes first. `begin` replaces the tables that are there; with `forgets`, the copies begin empty.
    """

    def __init__(self, folder: Path, files: Iterable[Path] = (), *, held: bool = False, forgets: bool = False) -> None:
        self._folder = folder / CONTENTS
        self._files = {file.name: file_digest(file) for file in files}
        self._tables: dict[str, ContentsTable] = {}
        self._held, self._forgets = held, forgets
        self._copies: list[Path] = []

    def table(self, split: str, num_samples: int) -> ContentsTable:
        """The table of one split."""
        file = self._file(split)
        self._tables[split] = ContentsTable.open(self._copy(file) if self._held else file, num_samples)
        return self._tables[split]

    def take(self, folder: Path) -> None:
        """Note what the tables of the same splits in another folder know."""
        for split, rows in read_contents(folder).items():
            if split in self._tables and len(rows) == len(self._tables[split]):
                self._tables[split].take(rows)

    def begin(self) -> None:
        """Put the tables that were held in place of those that are there; a second call does nothing."""
        if not self._held:
            return
        self._held = False
        with _reporting_errors(self._folder):
            for old in self._folder.glob("*.npy") if self._forgets else ():
                old.unlink(missing_ok=True)
            for split, table in self._tables.items():
                table.move(self._file(split))
            for left in self._folder.glob(f"*{HELD}"):  # of a resume that was killed before it began
                left.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the tables that are still held."""
        with suppress(OSError):
            for copy in self._copies if self._held else ():
                copy.unlink(missing_ok=True)
            self._folder.rmdir()  # only of a resume that made it: it is empty

    def _file(self, split: str) -> Path:
        return self._folder / f"{split}.npy"

    def _copy(self, file: Path) -> Path:
        """A new file next to `file`, of this process alone, with what `file` holds unless that is to be forgotten."""
        with _reporting_errors(file):
            self._folder.mkdir(exist_ok=True)
            copy = file.with_name(f".{file.stem}-{os.getpid()}{HELD}")
            copy.unlink(missing_ok=True)
            self._copies.append(copy)
            if file.exists() and not self._forgets:
                shutil.copyfile(file, copy)
        return copy

    def section(self) -> dict[str, Any]:
        """Its part of run.json: how many files were digested, of how many, and one digest of all if all were."""
        known = sum(table.num_known for table in self._tables.values())
        total = sum(map(len, self._tables.values()))
        return {
            "known": known + len(self._files),
            "of": total + len(self._files),
            "digest": self._digest() if known == total else None,
            "files": self._files,
        }

    def _digest(self) -> str:
        digest = xxhash.xxh3_128("".join(self._files.values()).encode())
        for rows in chain.from_iterable(table.blocks() for table in self._tables.values()):
            digest.update(rows["content"].tobytes())
        return digest.hexdigest()


def name_digest(sample_id: str) -> int:
    """XXH3-64 of an id; never 0.

    >>> name_digest("cat/1.jpg") == name_digest("cat/2.jpg")
    False
    """
    return xxhash.xxh3_64_intdigest(sample_id.encode("utf-8", "surrogatepass")) or 1


def read_contents(folder: Path) -> Mapping[str, Array]:
    """The rows of each split of the run in `folder`, dtype `ROW`; empty for a run of an earlier version.

    A table that is damaged is left out.
    """
    tables = {file.stem: _read_table(file) for file in sorted((folder / CONTENTS).glob("*.npy"))}
    return {split: rows for split, rows in tables.items() if rows is not None}


def _read_table(file: Path) -> Array | None:
    header = _read_header(file)
    if header is None or header.begin + header.num_samples * ROW.itemsize > file.stat().st_size:
        return None
    return np.fromfile(file, ROW, header.num_samples, offset=header.begin)


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


def file_digest(file: Path) -> str:
    """XXH3-128 of the file's bytes, as 32 hexadecimal digits."""
    digest = xxhash.xxh3_128()
    with file.open("rb", buffering=0) as opened:
        while block := opened.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class HashedSource(Wrapper):
    """The samples of `source`; a digest of each one's file goes to `table`, once."""

    table: ContentsTable

    def read(self, index: int, out: Values = None) -> Values:
        """The array of sample `index`."""
        values = self.spec.empty() if out is None else out
        self.read_many(np.array([index]), values[None])
        return values

    def read_many(self, indices: Indices, out: Values) -> None:
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
    if contents is None or not source.has_bytes:
        return source
    return HashedSource(source, contents.table(split, len(source)))
