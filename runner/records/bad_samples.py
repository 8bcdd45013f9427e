"""bad_samples.csv: the samples that a run could not read, each listed once, and the notes a run takes while reading."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import DataError, RunnerError
from runner.records.contents import Contents
from runner.records.files import read_table, write_cells, write_table

BAD_SAMPLES_CSV = "bad_samples.csv"
HEADER = ("split", "id", "path", "reason")

SHOWN = 10
"""The number of bad samples that are reported one by one; the file lists all."""

Notify = Callable[[str], None]
"""Shows a text to the user at once."""

log = logging.getLogger("runner.bad_samples")


class BadSamples:
    """Counts, reports and lists bad samples as they are found; threads may share it.

    A resumed run continues the list in `folder`; without a folder there is no list. More than `most` bad samples in
    all splits together are an error. If `held`, the list is not written before `begin`.
    """

    def __init__(
        self,
        folder: Path | None = None,
        most: int | None = None,
        notify: Notify = lambda text: None,
        *,
        held: bool = False,
    ) -> None:
        self._file, self._held = None if folder is None else folder / BAD_SAMPLES_CSV, held
        self._most, self._notify = most, notify
        self._known: dict[tuple[str, str], tuple[str, str]] = dict(self._read())
        self._lock = threading.Lock()

    def note(self, split: str, sample_id: str, path: str, reason: str) -> None:
        """Note a bad sample; a known one is ignored.

        Raises `DataError`, which lists all, if there are more than allowed.
        """
        with self._lock:
            if (split, sample_id) not in self._known:
                self._known[split, sample_id] = path, reason
                self._append((split, sample_id, path, reason))
                self._report(f"{path}: {reason}")
        if self._most is not None and len(self._known) > self._most:
            raise DataError(self._too_many(self._most))

    def begin(self) -> None:
        """Write what was held, and each bad sample from now on; nothing happens if nothing is held."""
        with self._lock:
            if self._held and self._known and self._file is not None:
                rows = [(*key, *values) for key, values in self._known.items()]
                write_table(self._file, [HEADER, *rows], overwrite=True)
            self._held = False

    def counts(self) -> Counter[str]:
        """The number of bad samples in each split."""
        return Counter(split for split, _ in self._known)

    def _read(self) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
        """The samples listed before a resume; an incomplete line, left by a power cut, is removed from the file."""
        if self._file is None or not self._file.exists():
            return
        rows = [row for row in read_table(self._file)[1:] if len(row) == len(HEADER)]
        if not self._held:
            write_table(self._file, [HEADER, *rows], overwrite=True)
        for split, sample_id, path, reason in rows:
            yield (split, sample_id), (path, reason)

    def _append(self, row: tuple[str, ...]) -> None:
        if self._file is None or self._held:
            return
        try:
            with self._file.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
                write_cells(file, [row] if file.tell() else [HEADER, row])
        except OSError as error:
            raise RunnerError(f"cannot write {self._file}: {error.strerror or error}") from error

    def _report(self, bad: str) -> None:
        count = len(self._known)
        if count <= SHOWN:
            text = f"bad sample {bad}"
        elif count == SHOWN + 1:
            others = f"; {BAD_SAMPLES_CSV} lists all" if self._file else ""
            text = f"more than {SHOWN} bad samples: no more are shown{others}"
        else:
            return
        log.warning("%s", text)
        self._notify(text)

    def _too_many(self, most: int) -> str:
        lines = [f"{path}: {reason}" for path, reason in self._known.values()]
        first = f"data.max_bad={most} must cover all bad samples, got {len(lines)}; fix them, or raise the limit:"
        return "\n".join((first, *lines))


@dataclass(frozen=True)
class Notes:
    """The notes a run takes while reading: digests of the files, and the samples that could not be read."""

    contents: Contents
    bad: BadSamples

    def begin(self) -> None:
        """Write what was held back; nothing happens if nothing was."""
        self.contents.begin()
        self.bad.begin()

    def section(self) -> dict[str, Any]:
        """Their part of the section `data` of run.json."""
        return {"contents": self.contents.section(), "bad_samples": self.bad.counts()}
