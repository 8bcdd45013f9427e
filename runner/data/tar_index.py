"""The index of a tar file whose neighbouring members are a sample, as webdataset writes them.

A member `photos/000012.image.jpg` belongs to sample `photos/000012` and is its `image.jpg`: the key of a sample ends at
the first dot of the last part of the name (webdataset, `tariterators.base_plus_ext`). Members without a key are left
out. Reading the headers of a file takes a read for each member, so the index is kept in a file for later runs.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.batch import Indices
from runner.errors import DataError, reason

KEYED = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
"""The key and the suffix in the name of a member."""

VERSION = "tar-v1"
"""The folder of indices of this form."""

LABEL_SUFFIXES = frozenset(("cls", "txt", "json"))
"""The last parts of suffixes whose contents the index keeps: they may hold labels."""
MOST_LABEL = 1 << 16
"""The most bytes of such a content. A label is shorter."""

COLUMNS, TEXTS = ("sample", "suffix", "offset", "size"), ("keys", "suffixes", "texts")
"""The parts of an index that are numbers, and those that are texts."""

ENCODING, ERRORS = "utf-8", "surrogateescape"
"""How tarfile makes text of names, which may be any bytes."""


@dataclass(frozen=True)
class TarIndex:
    """The samples of one tar file, and their members: of each the number of its sample and suffix, offset and size."""

    keys: tuple[str, ...]
    suffixes: tuple[str, ...]
    sample: NDArray[np.int32]
    suffix: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    texts: tuple[str, ...]
    """Contents of members that may hold labels, in the order of the members; empty for longer ones."""
    left_out: int
    """Members without a key."""

    def contents(self, number: int) -> Iterator[tuple[int, str]]:
        """The sample and the content of each member with suffix `number`, which may hold a label."""
        kept = np.array([may_hold_label(suffix) for suffix in self.suffixes], np.bool_)
        places = np.cumsum(kept[self.suffix]) - 1 if len(self.suffix) else self.suffix
        for member in np.flatnonzero(self.suffix == number).tolist():
            yield int(self.sample[member]), self.texts[int(places[member])]


def may_hold_label(suffix: str) -> bool:
    """Whether the content of a member with this suffix may be a label.

    >>> may_hold_label("cls"), may_hold_label("image.jpg")
    (True, False)
    """
    return suffix.rpartition(".")[2] in LABEL_SUFFIXES


def indexed(file: Path, index_dir: Path | None) -> TarIndex:
    """The index of `file`, from `index_dir` if it was kept there since the file changed; else it is made and kept.

    Raises `DataError` for a file that is no uncompressed tar file, is cut off, or has a sample twice.
    """
    if index_dir is None:
        return _scan(file)
    try:
        status = file.stat()
        state = f"{status.st_size} {status.st_mtime_ns} {os.path.abspath(file)}"  # noqa: PTH100  (as the disk cache)
        digest = hashlib.blake2b(state.encode(ENCODING, ERRORS), digest_size=16).hexdigest()
        kept = index_dir / VERSION / f"{digest}.npz"
        if (index := _load(kept)) is not None:
            return index
    except OSError as error:
        raise DataError(f"{file} cannot be read: {reason(error)}") from error
    index = _scan(file)
    try:
        _keep(index, kept)
    except OSError as error:
        raise DataError(
            f"data.index_dir must be a folder that can be written: {kept.parent}: {reason(error)}; set another folder, "
            "or data.index_dir=null to read all headers in every run"
        ) from error
    return index


def _scan(file: Path) -> TarIndex:
    """Read all headers of a tar file, and the contents that may be labels."""
    numbers: dict[str, int] = {}
    known: dict[str, int] = {}
    rows: list[tuple[int, int, int, int]] = []
    texts: list[str] = []
    left_out, current, has = 0, "", set[str]()
    for name, offset, size, content in _members(file):
        match = KEYED.fullmatch(name)
        if match is None:
            left_out += 1
            continue
        key, suffix = match[1], match[2].lower()
        if key != current or not known:
            if key in known:
                raise DataError(f"{file}: the members of sample {key} must be neighbours, got others between them")
            known[key], current, has = len(known), key, set()
        if suffix in has:
            raise DataError(f"{file}: sample {key} must have each suffix once, got two members {suffix}")
        has.add(suffix)
        rows.append((known[key], numbers.setdefault(suffix, len(numbers)), offset, size))
        if may_hold_label(suffix):
            texts.append(content())
    sample, number, offsets, sizes = np.array(rows, np.int64).reshape(-1, 4).T
    numbered = sample.astype(np.int32), number.astype(np.int32)
    return TarIndex(tuple(known), tuple(numbers), *numbered, offsets, sizes, tuple(texts), left_out)


def _members(file: Path) -> Iterator[tuple[str, int, int, _Content]]:
    """Name, offset, size and content of each file in a tar file."""
    try:
        with tarfile.open(file, "r:", encoding=ENCODING, errors=ERRORS) as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # the list of all members would grow with the file
                if member.isreg():
                    yield member.name, member.offset_data, member.size, _Content(tar, member)
            _refuse_no_end(file, tar.offset)
    except (tarfile.TarError, OSError, EOFError) as error:
        is_packed = "not an uncompressed" in str(error) or (isinstance(error, tarfile.ReadError) and _is_gzip(file))
        hint = "; unpack it: samples in a compressed file cannot be read one by one" if is_packed else ""
        raise DataError(f"{file} must be a tar file that is whole, got: {reason(error)}{hint}") from error


def _refuse_no_end(file: Path, offset: int) -> None:
    """Raise `EOFError` unless zeros follow at `offset`, which end a tar file; tarfile does not miss them."""
    with file.open("rb") as opened:
        opened.seek(offset)
        if opened.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError(f"its end is missing, after {offset:,} bytes")


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(2) == b"\x1f\x8b"


@dataclass(frozen=True)
class _Content:
    """The content of a member, read when it is called."""

    tar: tarfile.TarFile
    member: tarfile.TarInfo

    def __call__(self) -> str:
        opened = self.tar.extractfile(self.member) if self.member.size <= MOST_LABEL else None
        return "" if opened is None else opened.read().decode(ENCODING, ERRORS)


def _keep(index: TarIndex, kept: Path) -> None:
    """Write an index under a temporary name, and rename it."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_name(f".{kept.stem}-{os.getpid()}")
    columns: dict[str, Any] = {name: getattr(index, name) for name in COLUMNS}
    columns |= {name: _joined(getattr(index, name)) for name in TEXTS}
    with temporary.open("wb") as opened:
        np.savez(opened, left_out=np.array(index.left_out), **columns)
    temporary.replace(kept)


def _joined(texts: tuple[str, ...]) -> NDArray[np.uint8]:
    """Texts as bytes, each ended by a zero byte, which none has."""
    return np.frombuffer("".join(f"{text.replace(chr(0), ' ')}\0" for text in texts).encode(ENCODING, ERRORS), np.uint8)


def _split(joined: Indices) -> tuple[str, ...]:
    return tuple(joined.tobytes().decode(ENCODING, ERRORS).split("\0")[:-1])


def _load(kept: Path) -> TarIndex | None:
    """A kept index; None if there is none, or it is damaged."""
    try:
        with kept.open("rb") as opened, np.load(opened, allow_pickle=False) as columns:
            parts: dict[str, Any] = {name: columns[name] for name in COLUMNS}
            parts |= {name: _split(columns[name]) for name in TEXTS}
            return TarIndex(**parts, left_out=int(columns["left_out"]))
    except FileNotFoundError:
        return None
    except Exception:  # NumPy and zipfile raise many kinds for a damaged file
        return None
