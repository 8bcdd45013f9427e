"""CSV as we write and read it: UTF-8, RFC 4180 quoting and line ends, whole files only."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from runner.errors import RunnerError
from runner.records.files import replacing


def write_table(path: Path, rows: Iterable[Iterable[object]], *, overwrite: bool = False) -> None:
    """Write `rows`, one at a time; the first is the header. Numbers are written to be read back.

    Text that UTF-8 cannot hold (undecodable bytes of a file name) is written as Python escapes it.
    Raises `RunnerError` where `path` exists (unless `overwrite`) or cannot be written.
    """
    with (
        replacing(path, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        csv.writer(file).writerows(rows)


def read_table(path: Path) -> list[list[str]]:
    """All rows of a table, the header first.

    Raises `RunnerError` where the file cannot be read, or is no CSV.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunnerError(f"cannot read {path}: {error}") from error
