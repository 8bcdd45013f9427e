"""bad_samples.csv: the samples a run could not read and passed over, each of them once.

What a run notes of the samples it reads.
"""

from __future__ import annotations

import csv
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import DataError, RunnerError
from runner.records.contents import Contents
from runner.records.files import read_table, write_table

BAD_SAMPLES_CSV = "bad_samples.csv"
HEADER = ("split", "id", "path", "reason")

SHOWN = 10
"""Bad samples that are told one by one as they come; the file has all."""

Tell = Callable[[str], None]
"""Told what a person should see at once."""

log = logging.getLogger("runner.bad_samples")


class BadSamples:
    """Counts, tells and lists bad samples as they are found; threads may share it.

    A resumed run goes on with the list in `folder`. Without a folder there is no list. More than `most` in all splits
    are an error.
    """

    def __init__(self, folder: Path | None = None, most: int | None = None, tell: Tell = lambda text: None) -> None:
        self._file = None if folder is None else folder / BAD_SAMPLES_CSV
        self._most, self._tell = most, tell
        self._known: dict[tuple[str, str], tuple[str, str]] = dict(self._read())
        self._lock = threading.Lock()

    def note(self, split: str, sample_id: str, path: str, reason: str) -> None:
        """Note a bad sample; one that is known already is nothing new.

        Raises `DataError`, which names them, where there are more now than may be.
        """
        with self._lock:
            if (split, sample_id) not in self._known:
                self._known[split, sample_id] = path, reason
                self._append((split, sample_id, path, reason))
                self._say(f"{path}: {reason}")
        if self._most is not None and len(self._known) > self._most:
            raise DataError(self._too_many(self._most))

    def counts(self) -> Counter[str]:
        """How many of each split are bad."""
        return Counter(split for split, _ in self._known)

    def _read(self) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
        """What an earlier part of the run has listed; a line that a power cut tore is taken out of the file."""
        if self._file is None or not self._file.exists():
            return
        rows = [row for row in read_table(self._file)[1:] if len(row) == len(HEADER)]
        write_table(self._file, [HEADER, *rows], overwrite=True)
        for split, sample_id, path, reason in rows:
            yield (split, sample_id), (path, reason)

    def _append(self, row: tuple[str, ...]) -> None:
        if self._file is None:
            return
        try:
            with self._file.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
                csv.writer(file).writerows([row] if file.tell() else [HEADER, row])
        except OSError as error:
            raise RunnerError(f"cannot write {self._file}: {error.strerror or error}") from error

    def _say(self, named: str) -> None:
        count = len(self._known)
        if count <= SHOWN:
            text = f"bad sample {named}"
        elif count == SHOWN + 1:
            rest = f"listed in {BAD_SAMPLES_CSV}" if self._file else "not named"
            text = f"more than {SHOWN} samples are bad: the others are {rest}"
        else:
            return
        log.warning("%s", text)
        self._tell(text)

    def _too_many(self, most: int) -> str:
        named = [f"{path}: {reason}" for path, reason in self._known.values()]
        first = f"data.max_bad={most} must cover all bad samples, got {len(named)}; mend them, or raise it:"
        return "\n".join((first, *named))


@dataclass(frozen=True)
class Notes:
    """What was in the files of samples, and which samples could not be read."""

    contents: Contents
    bad: BadSamples

    def section(self) -> dict[str, Any]:
        """What run.json says of both, in its section on the data."""
        return {"contents": self.contents.section(), "bad_samples": self.bad.counts()}
