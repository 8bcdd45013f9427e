"""Which process writes a run, and whether that very process still lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

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
