"""Where a run or a sweep writes: a new folder of its own, and a link to the newest."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from runner.errors import RunnerError

OUTPUTS = Path("outputs")

MODEL, CHECKPOINTS = "model.keras", "checkpoints"
"""In the folder of a run that trained: the final model, and the folder of its best, its last and its states."""


def new_run_folder(root: Path = OUTPUTS) -> Path:
    """Make ``root/runs/<date>_<time>_<6 random hex>``, which nobody else has; the time is local.

    Raises `RunnerError` where the folder cannot be made.
    """
    return _new_folder(root / "runs")


def new_sweep_folder(root: Path = OUTPUTS) -> Path:
    """Make ``root/sweeps/<date>_<time>_<6 random hex>``, as `new_run_folder` does."""
    return _new_folder(root / "sweeps")


def point_latest(root: Path, folder: Path) -> None:
    """Let the link ``root/latest`` point to `folder`, at once and relative, so `root` may move.

    Of several processes the last one wins. Without links (some disks, some systems), or where
    ``latest`` is a real folder, nothing happens: no run fails for a convenience.
    """
    link = root / f".latest-{_random_hex()}"
    with suppress(OSError):
        link.symlink_to(os.path.relpath(folder.resolve(), root.resolve()))
        try:
            link.replace(root / "latest")
        finally:
            link.unlink(missing_ok=True)


def put_aside(folder: Path) -> None:
    """Rename what an earlier attempt has left, if it has, to `NAME.attempt1` or the next number that is free."""
    if folder.exists():
        attempts = (folder.with_name(f"{folder.name}.attempt{attempt}") for attempt in count(1))
        folder.rename(next(path for path in attempts if not path.exists()))


def _new_folder(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            folder = parent / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{_random_hex()}"
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise RunnerError(
            f"cannot make a folder under {parent}: {error.strerror}; free that path, or start where you may write"
        ) from error


def _random_hex() -> str:
    # From the system and not from `random`, which a user may have seeded alike in two processes.
    return os.urandom(3).hex()
