"""run.json as a run writes it: what the run is, on what it runs, what came of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from runner.records.files import write_atomically
from runner.records.json_text import to_json, to_plain
from runner.records.log import close_log, open_log
from runner.records.process import process_identity
from runner.records.provenance import environment, git_state, machine, packages, versions

RUN_JSON = "run.json"
PATCH = "code.patch"
Outcome = Literal["completed", "failed", "interrupted"]
Document = dict[str, Any]

KEPT = ("status", "stage", "error", "started", "finished", "process", "resumed")
"""The sections a record writes by itself; `update` takes all others."""


class RunRecord:
    """The record of one run in its folder, `path`: run.json, rewritten at every change, and run.log.

    A kill at any moment leaves run.json whole, as it was after the last change. Threads may share
    a record. `RunRecord.open` begins one, `close` ends it.
    """

    def __init__(self, path: Path, document: Document, log: logging.Handler) -> None:
        self.path = path
        self._document = document
        self._log = log
        self._begun = time.perf_counter()
        # Re-entrant: a signal handler that closes the record may find this thread inside a change.
        self._lock = threading.RLock()

    @classmethod
    def open(cls, folder: Path, *, backend: str, **sections: object) -> RunRecord:
        """Begin the record of a run of this process; `sections` as `update` takes them.

        Raises `RunnerError` where `folder` has a run.json already, or cannot be written to.
        """
        document = _merged(_first_document(backend), sections)
        write_atomically(folder / RUN_JSON, to_json(document))
        record = cls(folder, document, open_log(folder))
        record.update(git=git_state(patch_to=folder / PATCH))  # now that the folder is known to be ours
        return record

    @classmethod
    def reopen(cls, folder: Path, document: Document, **sections: object) -> RunRecord:
        """Go on with the record of a run that has ended, whose run.json holds `document`.

        `sections` say how that came about, and are added to `resumed` with the time.
        """
        again = {"time": _now(), **{name: to_plain(value) for name, value in sections.items()}}
        document = document | {
            "status": "running",
            "stage": None,
            "error": None,
            "finished": None,
            "process": process_identity(),
            "resumed": [*document["resumed"], again],
            "verified": {},
            "tracker": document.get("tracker", {}),  # a record of an earlier version has none
        }
        write_atomically(folder / RUN_JSON, to_json(document), overwrite=True)
        return cls(folder, document, open_log(folder))

    @property
    def document(self) -> Document:
        """A copy of what run.json holds."""
        return deepcopy(self._document)

    def update(self, **sections: object) -> None:
        """Write sections; of a mapping, only the keys given are replaced.

        So ``update(results={"fit": {…}})`` leaves the results of other stages alone. Raises
        TypeError for a section that run.json does not have, or that the record writes by itself.
        """
        with self._lock:
            self._write(_merged(self._document, sections))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Name the block as the current stage, and add the time it took to `seconds`.

        `stage` goes back to what it was at the block's end; if the block raises, it stays, and
        says where the run failed.
        """
        outer, begun = self._document["stage"], time.perf_counter()
        self._keep(stage=name)
        try:
            yield
        except BaseException:
            self._add_seconds(name, begun)
            raise
        self._add_seconds(name, begun)
        self._keep(stage=outer)

    def close(self, status: Outcome, error: BaseException | None = None) -> None:
        """Write how the run ended, with the error's type and message, and close run.log.

        The first call counts; later ones do nothing.
        """
        with self._lock:
            if self._document["finished"] is not None:
                return
            told = None if error is None else {"type": type(error).__name__, "message": str(error)}
            try:
                self._add_seconds("total", self._begun)
                self._keep(status=status, error=told, finished=_now())
            finally:
                close_log(self._log)

    def _add_seconds(self, name: str, begun: float) -> None:
        took = time.perf_counter() - begun
        with self._lock:
            before = self._document["seconds"].get(name, 0.0)
            self.update(seconds={name: round(before + took, 3)})

    def _keep(self, **sections: object) -> None:
        with self._lock:
            self._write({**self._document, **sections})

    def _write(self, document: Document) -> None:
        # Kept even if writing fails, on a full disk say: the next change brings it along.
        self._document = document
        write_atomically(self.path / RUN_JSON, to_json(document), overwrite=True)


def _first_document(backend: str) -> Document:
    """All sections, in the order a person reads them."""
    return {
        "status": "running",
        "stage": None,
        "error": None,
        "argv": [],
        "overrides": [],
        "foreign_files": [],
        "debug": {},
        "from_run": {},
        "rerun": {},
        "started": _now(),
        "resumed": [],
        "finished": None,
        "process": process_identity(),
        "seeds": {},
        "backend": backend,
        "versions": versions(backend),
        "packages": packages(),
        "machine": machine(),
        "environment": environment(),
        "git": None,
        "data": {},
        "loader": {},
        "tracker": {},
        "digests": {},
        "results": {},
        "verified": {},
        "seconds": {},
    }


def _merged(document: Document, sections: Mapping[str, object]) -> Document:
    """A new document in which `sections` are added to those of `document`."""
    merged = dict(document)
    for name, value in sections.items():
        if name not in document or name in KEPT:
            known = ", ".join(key for key in document if key not in KEPT)
            raise TypeError(f"a record has no section {name} to update; it has {known}")
        plain, before = to_plain(value), document[name]
        if isinstance(plain, dict) and isinstance(before, dict):
            plain = {**before, **plain}
        merged[name] = plain
    return merged


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
