"""bad_samples.csv: the samples that a run could not read, each listed once, and the notes a run takes while reading."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from runner.errors import DataError, RunnerError
from runner.records.contents import Contents
from runner.records.files import read_table, write_cells, write_table

BAD_SAMPLES_CSV = "bad_samples.csv"
HEADER = ("split", "id", "path", "reason")

SHOWN = 10
"""The number of bad samples that are reported one by one; the file lists all."""

Key = tuple[str, str]
"""A split, and an id in it."""

Values = tuple[str, str]
"""The path of a bad sample, or its id, and the reason."""

Notify = Callable[[str], None]
"""Shows a text to the user at once."""

log = logging.getLogger("runner.bad_samples")


class BadSamples:
    """Counts, reports and lists bad samples as they are found; threads may share it.

    A resumed run continues the list in `folder`; without a folder there is no list. More than `most` bad samples in
    all splits together are an error, with those that other processes of the run list in the folders `others`. If
    `held`, the list is not written before `begin`.
    """

    def __init__(
        self,
        folder: Path | None = None,
        most: int | None = None,
        notify: Notify = lambda text: None,
        *,
        held: bool = False,
        others: Sequence[Path] = (),
    ) -> None:
        self._file, self._held = None if folder is None else folder / BAD_SAMPLES_CSV, held
        self._others = others
        self._most, self._notify = most, notify
        self._known: dict[Key, Values] = dict(self._read())
        self._lock = threading.Lock()

    def note(self, split: str, sample_id: str, path: str, reason: str) -> None:
        """Note a bad sample; a known one is ignored.

        Raises `DataError`, which lists all, if there are more than allowed.
        """
        with self._lock:
            is_new = (split, sample_id) not in self._known
            if is_new:
                self._add((split, sample_id), (path, reason))
            # Looked up after the own one is listed: the process that lists the last one finds all.
            all_known = {**self._known, **dict(chain.from_iterable(map(_listed, self._others)))} if is_new else {}
        if self._most is not None and max(len(self._known), len(all_known)) > self._most:
            raise DataError(_too_many(self._most, all_known or self._known))

    def take(self, folder: Path) -> None:
        """Note the bad samples that another process of the run lists in `folder`."""
        with self._lock:
            for key, values in _listed(folder):
                if key not in self._known:
                    self._add(key, values)

    def _add(self, key: Key, values: Values) -> None:
        self._known[key] = values
        self._append((*key, *values))
        self._report(": ".join(values))

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

    def _read(self) -> Iterator[tuple[Key, Values]]:
        """The samples listed before a resume; an incomplete line, left by a power cut, is removed from the file."""
        if self._file is None or not self._file.exists():
            return
        listed = list(_listed(self._file.parent))
        if not self._held:
            write_table(self._file, [HEADER, *((*key, *values) for key, values in listed)], overwrite=True)
        yield from listed

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


def _listed(folder: Path) -> Iterator[tuple[Key, Values]]:
    """The bad samples in the list of a folder, if there is one; without a line that is incomplete."""
    file = folder / BAD_SAMPLES_CSV
    for row in read_table(file)[1:] if file.exists() else ():
        if len(row) == len(HEADER):
            split, sample_id, path, reason = row
            yield (split, sample_id), (path, reason)


def _too_many(most: int, known: Mapping[Key, Values]) -> str:
    lines = [f"{path}: {reason}" for path, reason in known.values()]
    first = f"data.max_bad={most} must cover all bad samples, got {len(lines)}; fix them, or raise the limit:"
    return "\n".join((first, *lines))


@dataclass(frozen=True)
class Notes:
    """The notes a run takes while reading: digests of the files, and the samples that could not be read."""

    contents: Contents
    bad: BadSamples

    def take(self, folder: Path) -> None:
        """Note what another process of the run has noted in `folder`."""
        self.contents.take(folder)
        self.bad.take(folder)

    def begin(self) -> None:
        """Write what was held back; nothing happens if nothing was."""
        self.contents.begin()
        self.bad.begin()

    def section(self) -> dict[str, Any]:
        """Their part of the section `data` of run.json."""
        return {"contents": self.contents.section(), "bad_samples": self.bad.counts()}
