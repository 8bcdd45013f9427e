"""Who writes a record: the identity of a process, and a heartbeat that shows other hosts that it is alive."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from runner.messages import duration_text

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")
TOLERANCE_SECONDS = 2.0
"""The most that two readings of one process's start may differ: the boot time is in whole seconds."""

BEAT_SECONDS = 10.0
LOST_SECONDS = 120.0
"""A process that cannot be seen counts as ended this long after its last heartbeat: clocks of hosts may differ."""


def process_identity() -> dict[str, Any]:
    """Host, boot, pid and start of this process, which together are unique, and the interval of its heartbeat.

    The start is in seconds after boot, which does not change when the clock is set. The namespace of process ids
    distinguishes containers that share a host name.
    """
    return {
        "host": socket.gethostname(),
        "boot_id": _boot_id(),
        "pid_namespace": _pid_namespace(),
        "pid": os.getpid(),
        "started_seconds_after_boot": _started(psutil.Process()),
        "heartbeat_seconds": BEAT_SECONDS,
    }


def is_alive(identity: Mapping[str, Any], file: Path | None = None) -> bool:
    """Whether the process with this `process_identity` may still be running.

    A process on another host or in another container cannot be seen from here. It counts as alive until its last
    heartbeat in `file` is `LOST_SECONDS` old; without a heartbeat, as in records of earlier versions, always.
    """
    if not is_visible(identity):
        silent = None if file is None else seconds_since_heartbeat(identity, file)
        return silent is None or silent <= LOST_SECONDS
    if identity.get("boot_id") != _boot_id():
        return False
    try:
        process = psutil.Process(identity["pid"])
        difference = _started(process) - float(identity["started_seconds_after_boot"])
        has_ended = bool(process.status() == psutil.STATUS_ZOMBIE)
        return abs(difference) <= TOLERANCE_SECONDS and not has_ended
    except (psutil.NoSuchProcess, KeyError, ValueError, OverflowError):  # gone, or not as the runner writes it
        return False
    except psutil.AccessDenied:
        return True


def is_visible(identity: Mapping[str, Any]) -> bool:
    """Whether the process with this identity can be seen from here, if it is alive."""
    if identity.get("host") != socket.gethostname():
        return False
    namespace = identity.get("pid_namespace")
    here = identity.get("boot_id") == _boot_id()
    return not here or namespace is None or namespace == _pid_namespace()


def seconds_since_heartbeat(identity: Mapping[str, Any], file: Path) -> float | None:
    """Seconds since the last heartbeat in `file`, by the clock of this host; None if that process has none."""
    if identity.get("heartbeat_seconds") is None:
        return None
    try:
        return max(0.0, time.time() - file.stat().st_mtime)
    except OSError:
        return None


def describe_process(identity: Mapping[str, Any], file: Path, takeover: str) -> str:
    """Where a process runs, and how to go on without it: by the key `takeover` if it cannot be seen from here.

    >>> describe_process({"host": "node1", "pid": 7}, Path("run.json"), "resume_takeover=true")
    'node1 as process 7; stop that first, or if it has ended there, add resume_takeover=true'
    """
    silent = seconds_since_heartbeat(identity, file)
    beat = "" if silent is None else f"; its last heartbeat was {duration_text(silent)} ago"
    mend = "" if is_visible(identity) else f", or if it has ended there, add {takeover}"
    return f"{identity.get('host')} as process {identity.get('pid')}; stop that first{mend}{beat}"


class Heartbeat:
    """Sets the modification time of `file` every `seconds` (`BEAT_SECONDS`), in its own thread, until `close`.

    The time is set by the file system's clock. Whoever rewrites the file gives a heartbeat, too.
    """

    def __init__(self, file: Path, seconds: float | None = None) -> None:
        self._file, self._ended = file, threading.Event()
        self._seconds = BEAT_SECONDS if seconds is None else seconds
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds):
            with suppress(OSError):
                os.utime(self._file)

    def close(self) -> None:
        """End the thread; a second call does nothing."""
        self._ended.set()
        self._thread.join()


def _started(process: psutil.Process) -> float:
    return round(float(process.create_time() - psutil.boot_time()), 2)


def _boot_id() -> str | None:
    """Linux's id of the present boot; None on other systems."""
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else None


def _pid_namespace() -> str | None:
    """Linux's name of the namespace of process ids; None on other systems."""
    try:
        return str(PID_NAMESPACE.readlink())
    except OSError:
        return None
