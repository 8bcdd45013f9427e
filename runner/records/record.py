"""The record of a run as the run writes it: run.json and run.log."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from datetime import UTC, datetime
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any, Literal

from runner.errors import RunnerError, kind_of_error
from runner.messages import printable
from runner.records.files import Sections, to_json, to_plain, write_atomically, write_in_place
from runner.records.heartbeat import Heartbeat, process_identity
from runner.records.provenance import environment, git_state, machine, packages, versions

RUN_JSON = "run.json"
PATCH = "code.patch"
FinalStatus = Literal["completed", "failed", "interrupted"]
Document = dict[str, Any]

OWN_SECTIONS = ("status", "stage", "error", "started", "finished", "process", "resumed")
"""The sections that a record writes itself; `RunRecord.update` takes all others."""

LATER_SECTIONS = ("callbacks", "tracker", "goals", "distribute", "model", "changed", "network")
"""Sections that a record of an earlier version lacks."""

log = logging.getLogger("runner.record")

LOGGER = "runner"
LINE = "%(asctime)s.%(msecs)03d+00:00 %(levelname)s %(name)s: %(message)s"


MOST_HELD, NEVER, ALWAYS = 100_000, 1_000, 0
"""The most messages that a log holds back, and levels from which on it writes at once."""


class _LogLine(logging.Formatter):
    """One line for a message, whatever names are in it; a traceback is indented below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, with control characters escaped."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback, with each line indented."""
        return "\n".join(f"    {printable(line)}" for line in super().formatException(ei).splitlines())


class _LogFile(logging.FileHandler):
    """A log that loses lines on a full disk, in place of ending the run or writing tracebacks to the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Lose the line."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close the file, whose last lines may be lost."""
        with suppress(OSError):
            super().close()


def open_log(folder: Path, *, held: bool = False) -> logging.Handler:
    """Write messages of the loggers below ``runner``, from INFO up, to `folder`/run.log; end with `close_log`.

    Times are UTC, as in run.json. If `held`, messages are written at `release_log`, or dropped at `close_log`.
    """
    file = folder / "run.log"
    handler: logging.Handler
    handler = _LogFile(file, encoding="utf-8", errors="backslashreplace", delay=held)
    formatter = _LogLine(LINE, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    if held:
        handler = MemoryHandler(MOST_HELD, flushLevel=NEVER, target=handler, flushOnClose=False)
    handler.setLevel(logging.INFO)
    logger = logging.getLogger(LOGGER)
    if logger.level == logging.NOTSET:
        # Otherwise a program that never set up logging would drop everything below WARNING.
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Detach the handler and close its file; a second call does nothing."""
    logging.getLogger(LOGGER).removeHandler(handler)
    file = getattr(handler, "target", None)
    handler.close()
    if file is not None:
        file.close()


def release_log(handler: logging.Handler) -> None:
    """Write the messages that were held back, and from now on each at once."""
    if isinstance(handler, MemoryHandler):
        handler.flush()
        handler.flushLevel = ALWAYS


class RunRecord:
    """The record of one run in its folder, `path`: run.json, rewritten at every change, and run.log.

    A kill at any moment leaves a whole run.json, as of the last change. Threads may share a record. `open` or `reopen`
    starts one, `close` ends it. A reopened record is held: no file changes before `begin`, so a resume that is refused
    leaves the run as it was.
    """

    def __init__(self, path: Path, document: Document, log: logging.Handler, *, before: bytes | None = None) -> None:
        self.path = path
        self._document = document
        self._sections = Sections()
        self._log = log
        self._before = before
        """run.json as it was when a held record was reopened; None once the record is written."""
        self._heartbeat = None if self.is_held else Heartbeat(path / RUN_JSON)
        self._start = time.perf_counter()
        # Re-entrant: a signal handler may close the record while this thread is changing it.
        self._lock = threading.RLock()

    @classmethod
    def open(cls, folder: Path, *, backend: str, **sections: object) -> RunRecord:
        """Start the record of a run in this process; `sections` are those of `update`.

        Raises `RunnerError` if `folder` already has a run.json, or cannot be written to.
        """
        document = _merged(_first_document(backend), sections)
        write_atomically(folder / RUN_JSON, to_json(document))
        record = cls(folder, document, open_log(folder))
        record.update(git=git_state(patch_to=folder / PATCH))  # the folder is ours, now that run.json is written
        return record

    @classmethod
    def reopen(cls, folder: Path, document: Document, **sections: object) -> RunRecord:
        """Reopen the record of a run that has ended, and whose run.json holds `document`; `begin` writes it.

        `sections` describe the resume; they are added to `resumed` with the time.
        """
        before = (folder / RUN_JSON).read_bytes()
        resume = {"time": _now(), **{name: to_plain(value) for name, value in sections.items()}}
        document = document | {
            "status": "running",
            "stage": None,
            "error": None,
            "finished": None,
            "process": process_identity(),
            "resumed": [*document["resumed"], resume],
            "verified": {},
            **{name: document.get(name, {}) for name in LATER_SECTIONS},
        }
        return cls(folder, document, open_log(folder, held=True), before=before)

    @classmethod
    def closed(cls, folder: Path) -> RunRecord:
        """The record of a run that other processes have written; nothing is written to it."""
        content = (folder / RUN_JSON).read_bytes()
        return cls(folder, json.loads(content), logging.NullHandler(), before=content)

    @property
    def is_held(self) -> bool:
        """Whether nothing was written yet."""
        return self._before is not None

    def begin(self) -> None:
        """Write a held record, and every change from now on; nothing happens if it is not held.

        Raises `RunnerError` if another process has changed run.json since it was reopened.
        """
        with self._lock:
            if not self.is_held:
                return
            if (self.path / RUN_JSON).read_bytes() != self._before:
                raise RunnerError(f"another process has resumed {self.path} in the meantime; wait until it ends")
            self._before = None
            self._write(self._document)
            self._heartbeat = Heartbeat(self.path / RUN_JSON)
            release_log(self._log)

    @property
    def document(self) -> Document:
        """A copy of run.json."""
        return deepcopy(self._document)

    def update(self, **sections: object) -> None:
        """Write sections; in a mapping, only the given keys are replaced.

        So ``update(results={"fit": {…}})`` keeps the results of other stages. Raises TypeError for a section that
        run.json does not have, or that the record writes itself.
        """
        with self._lock:
            self._write(_merged(self._document, sections))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Make `name` the current stage during the block, and add its duration to `seconds`.

        At the block's end the stage before is current again. If the block raises, `stage` stays: it says where the run
        failed.
        """
        outer, start = self._document["stage"], time.perf_counter()
        self._set(stage=name)
        try:
            yield
        except BaseException:
            self._add_seconds(name, start)
            raise
        self._add_seconds(name, start)
        self._set(stage=outer)

    def close(self, status: FinalStatus, error: BaseException | None = None) -> None:
        """Write the final status, with the error's type and message, and close run.log; a second call does nothing.

        A held record is dropped.
        """
        with self._lock:
            if self._document["finished"] is not None:
                return
            reason = None if error is None else {"type": kind_of_error(error), "message": str(error)}
            try:
                self._set(
                    status=status, error=reason, finished=_now(), seconds=self._with_seconds("total", self._start)
                )
            except RunnerError:
                # On a full disk the file has room for what it holds, and on one line that is shorter.
                try:
                    write_in_place(self.path / RUN_JSON, to_json(self._document, indent=None))
                except OSError:
                    log.warning("run.json could not be closed")
                raise
            finally:
                if self._heartbeat is not None:
                    self._heartbeat.close()
                close_log(self._log)

    def _add_seconds(self, name: str, start: float) -> None:
        with self._lock:
            self._set(seconds=self._with_seconds(name, start))

    def _with_seconds(self, name: str, start: float) -> dict[str, float]:
        seconds: dict[str, float] = self._document["seconds"]
        return {**seconds, name: round(seconds.get(name, 0.0) + time.perf_counter() - start, 3)}

    def _set(self, **sections: object) -> None:
        with self._lock:
            self._write({**self._document, **sections})

    def _write(self, document: Document) -> None:
        # Kept even if writing fails, as on a full disk: the next change writes it too.
        self._document = document
        if not self.is_held:
            write_atomically(self.path / RUN_JSON, self._sections.to_json(document), overwrite=True)


def _first_document(backend: str) -> Document:
    """All sections, in the order of run.json."""
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
        "changed": {},
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
        "code": {},
        "callbacks": {},
        "model": {},
        "data": {},
        "loader": {},
        "tracker": {},
        "digests": {},
        "distribute": {},
        "network": {},
        "goals": {},
        "results": {},
        "verified": {},
        "seconds": {},
    }


def _merged(document: Document, sections: Mapping[str, object]) -> Document:
    """A copy of `document` with `sections` merged into it."""
    merged = dict(document)
    for name, value in sections.items():
        if name not in document or name in OWN_SECTIONS:
            known = ", ".join(key for key in document if key not in OWN_SECTIONS)
            raise TypeError(f"a record has no section {name} to update; its sections are {known}")
        new, before = to_plain(value), document[name]
        merged[name] = {**before, **new} if isinstance(new, dict) and isinstance(before, dict) else new
    return merged


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
