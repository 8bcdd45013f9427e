"""Atomic writing of files, JSON that every reader accepts, and CSV tables: UTF-8, RFC 4180 quoting and line ends."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from runner.errors import RunnerError
from runner.records.cells import BEGINNINGS, from_cell, to_cell
from runner.temporary import remove, temporary_path


@contextmanager
def replacing(path: Path, *, overwrite: bool = False, durable: bool = True) -> Iterator[Path]:
    """A temporary path next to `path`, which the block writes; at the block's end it is renamed to `path`.

    The temporary name keeps all suffixes, since writers such as Keras depend on them, and belongs to this block alone:
    of several that write one file at a time, the last to end is kept. If the block raises, `path` is unchanged and the
    temporary file is removed; after a kill it remains, until the next writer in the folder removes it. A file that is
    not `durable` may be lost in a power cut. Raises `RunnerError` if `path` exists (unless `overwrite`) or cannot be
    written.
    """
    if path.exists() and not overwrite:
        raise RunnerError(f"{path} already exists and is not overwritten; move it away")
    temporary = temporary_path(path)
    try:
        yield temporary
        if durable:
            flush_file(temporary)
        temporary.replace(path)
        if durable:
            _flush_folder(path.parent)
    except OSError as error:
        raise RunnerError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        remove(temporary)


def write_atomically(path: Path, content: bytes | str, *, overwrite: bool = False, durable: bool = True) -> None:
    """Write `content`, text as UTF-8, so that a reader always finds the whole old file or the whole new one.

    Text that UTF-8 cannot encode (undecodable bytes of a file name) is escaped as Python does.
    Raises `RunnerError` as `replacing` does.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    with replacing(path, overwrite=overwrite, durable=durable) as temporary:
        temporary.write_bytes(content)


def write_in_place(path: Path, content: str) -> None:
    """Overwrite a file where it lies, which needs no room on a full disk if `content` is no longer than the file.

    For the last words of a run only: a kill in between leaves half a file. Raises `OSError` if it cannot be written.
    """
    with path.open("r+b") as file:
        file.write(content.encode("utf-8", "backslashreplace"))
        file.truncate()


def flush_file(path: Path) -> None:
    """Have what was written to a file reach the disk, or the server of a network file system."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    # Makes the rename survive a power cut; not every system can open a folder.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def to_json(document: object, indent: int | None = 2) -> str:
    """`document` as JSON text, with the keys in their order; on one line without `indent`."""
    return json.dumps(to_plain(document), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


class Sections:
    """The JSON text of a document that is written many times; only values that were replaced are encoded again.

    No value may be changed in place.
    """

    def __init__(self) -> None:
        self._encoded: dict[str, tuple[object, str]] = {}

    def to_json(self, document: Mapping[str, object]) -> str:
        """What the function `to_json` gives for a document that is not empty."""
        lines = (f"  {json.dumps(name)}: {self._text(name, value)}" for name, value in document.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def _text(self, name: str, value: object) -> str:
        if name not in self._encoded or self._encoded[name][0] is not value:
            self._encoded[name] = value, to_json(value).rstrip("\n").replace("\n", "\n  ")
        return self._encoded[name][1]


def to_plain(value: object) -> object:
    """A deep copy of `value` made of dict, list, str, int, float, bool and None only.

    NumPy scalars and arrays become numbers and lists; numbers that JSON cannot write become "nan", "inf" or "-inf",
    which ``float`` reads back. Any other value, such as a path, becomes its text: a record must not end a run.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return _from_array(value)


def _from_array(value: object) -> object:
    # Recognised by the method they share, so that nothing here imports NumPy or a backend.
    to_list = getattr(value, "tolist", None)
    converted = to_list() if callable(to_list) else value
    return str(value) if type(converted) is type(value) else to_plain(converted)


def write_table(path: Path, rows: Iterable[Iterable[object]], *, overwrite: bool = False) -> None:
    """Write `rows`, of which the first is the header; each is written as it is generated, numbers with all digits.

    Cells are those of `to_cell`. Text that UTF-8 cannot encode (undecodable bytes of a file name) is escaped as Python
    does.
    Raises `RunnerError` if `path` exists (unless `overwrite`) or cannot be written.
    """
    with (
        replacing(path, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        write_cells(file, rows)


def write_cells(file: IO[str], rows: Iterable[Iterable[object]]) -> None:
    """Write rows to an open file, with the cells of `to_cell`."""
    writer = csv.writer(file)
    for row in rows:
        cells, is_odd = [*row], False
        for cell in cells:  # without a call per cell: a table of predictions has millions
            if cell.__class__ is str and cell[:1] in BEGINNINGS:
                is_odd = True
                break
        writer.writerow(map(to_cell, cells) if is_odd else cells)


def read_table(path: Path) -> list[list[str]]:
    """All rows of a table, the header first.

    Raises `RunnerError` if the file cannot be read or is not CSV.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [list(map(from_cell, row)) for row in csv.reader(file, strict=True)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunnerError(f"cannot read {path}: {error}") from error
