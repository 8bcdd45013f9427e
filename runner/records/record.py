"""run.json as a run writes it: what the run is, on what it runs, what came of it.

run.log: what the runner's loggers say during one run.

Which process writes a run, and whether that very process still lives.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil

from runner.records.files import to_json, to_plain, write_atomically
from runner.records.provenance import environment, git_state, machine, packages, versions

LOGGER = "runner"
LINE = "%(asctime)s.%(msecs)03d+00:00 %(levelname)s %(name)s: %(message)s"


def open_log(folder: Path) -> logging.Handler:
    """Write what the loggers below ``runner`` say, from INFO up, to `folder`/run.log as well.

    Times are UTC, as in run.json. End with `close_log`.
    """
    handler = logging.FileHandler(folder / "run.log", encoding="utf-8", errors="backslashreplace")
    formatter = logging.Formatter(LINE, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.setLevel(logging.INFO)
    logger = logging.getLogger(LOGGER)
    if logger.level == logging.NOTSET:
        # Else a program that never set up logging would keep everything below WARNING out.
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Detach the handler and close its file; doing so twice is fine."""
    logging.getLogger(LOGGER).removeHandler(handler)
    handler.close()


BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TOLERANCE_SECONDS = 2.0
"""By how much two readings of one process's start may differ: the boot time is in whole seconds."""


def process_identity() -> dict[str, Any]:
    """Host, boot, pid and start of this process: together they are never given twice.

    The start is in seconds after boot, which, unlike a date, stays when the clock is set.
    """
    return {
        "host": socket.gethostname(),
        "boot_id": _boot_id(),
        "pid": os.getpid(),
        "started_seconds_after_boot": _started(psutil.Process()),
    }


def is_alive(identity: Mapping[str, Any]) -> bool:
    """Whether the process with this `process_identity` may still be running.

    True wherever that cannot be seen from here, as for a process of another host.
    """
    if identity.get("host") != socket.gethostname():
        return True
    if identity.get("boot_id") != _boot_id():
        return False
    try:
        process = psutil.Process(identity["pid"])
        apart = _started(process) - float(identity["started_seconds_after_boot"])
        ended = bool(process.status() == psutil.STATUS_ZOMBIE)
        return abs(apart) <= TOLERANCE_SECONDS and not ended
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _started(process: psutil.Process) -> float:
    return round(float(process.create_time() - psutil.boot_time()), 2)


def _boot_id() -> str | None:
    """Linux's name for the time since the last boot; None on other systems."""
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else None


RUN_JSON = "run.json"
PATCH = "code.patch"
FinalStatus = Literal["completed", "failed", "interrupted"]
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

    def close(self, status: FinalStatus, error: BaseException | None = None) -> None:
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
