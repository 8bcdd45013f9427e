"""Temporary names next to a file: one for each writer, so that several processes and threads may write it at once.

A killed writer leaves its file or folder; the next writer in the same folder removes it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

NAME = re.compile(r"\.tmp-(?P<host>.+?)-(?P<pid>\d+)-\d+-.+")
HOST = os.uname().nodename

IDLE_SECONDS, FOREIGN_IDLE_SECONDS = 60.0, 3600.0
"""How long what an ended process has left stays (containers may share a name), and what another machine has left."""

_numbers = itertools.count()


def temporary_path(path: Path) -> Path:
    """A path next to `path`, for a file or folder that will replace it; no other writer has the same.

    It keeps all suffixes. What killed writers have left in the folder is removed.
    """
    with suppress(OSError), os.scandir(path.parent) as entries:
        for left in [Path(entry) for entry in entries if _is_left(entry)]:
            remove(left)
    return path.with_name(f".tmp-{HOST}-{os.getpid()}-{next(_numbers)}-{path.name}")


def remove(path: Path) -> None:
    """Remove a temporary file or folder; nothing happens if it does not exist or may not be removed."""
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_left(entry: os.DirEntry[str]) -> bool:
    """Whether a killed writer has left this file or folder."""
    found = NAME.fullmatch(entry.name)
    if found is None:
        return False
    is_foreign = found["host"] != HOST
    if not is_foreign and _is_alive(int(found["pid"])):
        return False
    return time.time() - entry.stat().st_mtime > (FOREIGN_IDLE_SECONDS if is_foreign else IDLE_SECONDS)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user, or no number of a process
        return True
    return True
