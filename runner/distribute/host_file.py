"""The files by which the hosts of a group see each other: one for each of them, which it alone writes."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runner.errors import ConfigurationError, RunnerError
from runner.records.files import to_json, write_in_place
from runner.records.heartbeat import Heartbeat

BEAT_SECONDS = 1.0
ENDED_SECONDS = 4.0
"""A file that is there before its host begins is of one that was killed, if it has no heartbeat for so long."""

LOST_SECONDS = 12.0
"""A host counts as lost this long after its last heartbeat."""

LOOK_SECONDS = 0.1

Status = dict[str, Any]


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number}.json"


class HostFile:
    """The file of this host, with its status; its time is set every second, so that others see that it is alive.

    It is written in place: on a network file system, a file that replaces another one is seen only after seconds.
    Raises `ConfigurationError` if another process is this host.
    """

    def __init__(self, folder: Path, number: int, status: Status) -> None:
        self.folder, self.number = folder, number
        self.path = _file(folder, number)
        self.status: Status = {"id": os.urandom(8).hex(), "host": socket.gethostname(), "pid": os.getpid(), **status}
        self._claim()
        self.write()
        self._heartbeat = Heartbeat(self.path, BEAT_SECONDS)

    @property
    def id(self) -> str:
        """What distinguishes this process from earlier ones of the same host."""
        return str(self.status["id"])

    def write(self, **changes: Any) -> None:
        """Change values of the status."""
        self.status |= changes
        try:
            write_in_place(self.path, to_json(self.status, indent=None))
        except OSError as error:
            raise RunnerError(f"cannot write {self.path}: {error.strerror or error}") from error

    def _claim(self) -> None:
        """Make the file, in place of one that an earlier process has left."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            while True:
                with suppress(FileExistsError), self.path.open("xb"):
                    return
                other = OtherHost(self.folder, self.number)
                if other.is_alive():
                    raise ConfigurationError(
                        f"distribute.host must be another number on each host, got {self.number}, which {other.name} "
                        "has; give this host its own number, or a group of its own another distribute.coordinator"
                    )
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise RunnerError(f"cannot make {self.path}: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heartbeat.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            self.folder.rmdir()  # of the last host
            self.folder.parent.rmdir()


class OtherHost:
    """Another host, as its file shows it. Heartbeats are compared with each other, not with the clock of this host."""

    def __init__(self, folder: Path, number: int) -> None:
        self.path, self.number = _file(folder, number), number
        self.status: Status = {}
        self._beat, self._heard, self._looked = 0, time.monotonic(), 0.0

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"process {self.status.get('pid')} on {self.status.get('host')}"

    @property
    def has_left(self) -> bool:
        """Whether it has removed its file."""
        return not self.path.exists()

    @property
    def is_lost(self) -> bool:
        """Whether it has not been heard of for too long."""
        return time.monotonic() - self._heard > LOST_SECONDS

    def look(self) -> Status:
        """Its status, empty until there is one; the one before while a new one is being written."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return self.status
        self._looked = time.monotonic()
        with suppress(OSError, ValueError), self.path.open("rb") as file:
            beat = os.fstat(file.fileno()).st_mtime_ns
            if beat != self._beat:
                self.status = json.loads(file.read())
                self._beat, self._heard = beat, time.monotonic()
        return self.status

    def refuse_lost(self) -> None:
        """Raise `RunnerError` if it is lost."""
        if self.is_lost:
            raise RunnerError(
                f"host {self.number} ({self.name}) has given no sign of life for {LOST_SECONDS:.0f} seconds; resume "
                "the run, on any number of hosts"
            )

    def is_alive(self) -> bool:
        """Whether there is a heartbeat within some seconds."""
        self.look()
        first, end = self._beat, time.monotonic() + ENDED_SECONDS
        while self._beat == first and time.monotonic() < end and not self.has_left:
            time.sleep(LOOK_SECONDS)
            self.look()
        return self._beat != first
