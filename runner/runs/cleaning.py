"""Runs that came to nothing, and how they are removed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from runner.errors import RunnerError
from runner.records.folder import point_latest
from runner.records.run_folder import DAMAGED, LATEST, UNRECORDED, Run, all_runs
from runner.sweeps.sweep_plan import FROZEN

FRUITLESS = ("failed", "killed", UNRECORDED, DAMAGED)

YOUNG_SECONDS = 60.0
"""A folder without a record that is younger may belong to a run that is about to begin."""


def is_fruitless(run: Run) -> bool:
    """Whether a run failed, was killed or never got as far as a record."""
    return run.status in FRUITLESS and not (run.status == UNRECORDED and _age_seconds(run.folder) < YOUNG_SECONDS)


def size_bytes(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def remove(runs: Iterable[Run], root: Path) -> None:
    """Remove the folders of these runs, and sweeps nothing is left of; `latest` links to the newest that is left.

    Raises `RunnerError` where a folder cannot be removed.
    """
    for run in runs:
        try:
            shutil.rmtree(run.folder)
        except OSError as error:
            raise RunnerError(f"cannot remove {run.folder}: {error.strerror or error}") from error
        others = run.folder.parent.iterdir() if "/" in run.name else ()
        if "/" in run.name and all(entry.is_file() or entry.name == FROZEN for entry in others):
            shutil.rmtree(run.folder.parent)
    _mend_latest(root)


def _mend_latest(root: Path) -> None:
    link = root / LATEST
    if not link.is_symlink() or link.exists():
        return
    left = [run for run in all_runs(root) if run.folder.parent.name == "runs"]
    if left:
        point_latest(root, left[-1].folder)
    else:
        link.unlink()


def _age_seconds(folder: Path) -> float:
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime
    return 0.0
