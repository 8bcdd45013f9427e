"""Folders of runs and sweeps: how they are made and named, and the link `latest` to the newest run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from runner.errors import RunnerError

OUTPUTS = Path("outputs")

MODEL, CHECKPOINTS = "model.keras", "checkpoints"
"""In the folder of a run: the final model, and the folder of the best model, the last model and the states."""


def new_run_folder(root: Path = OUTPUTS) -> Path:
    """Make the folder ``root/runs/<date>_<time>_<6 random hex>``, with a unique name; the time is local.

    Raises `RunnerError` if the folder cannot be made.
    """
    return _new_folder(root / "runs")


def new_sweep_folder(root: Path = OUTPUTS) -> Path:
    """Make ``root/sweeps/<date>_<time>_<6 random hex>``, as `new_run_folder` does."""
    return _new_folder(root / "sweeps")


def point_latest(root: Path, folder: Path) -> None:
    """Point the link ``root/latest`` to `folder`, atomically; the link is relative, so that `root` may be moved.

    Of several processes the last one wins. Nothing happens on a disk without links, or if ``latest`` is a real
    folder: the link is a convenience, and no run fails because of it.
    """
    link = root / f".latest-{_random_hex()}"
    with suppress(OSError):
        link.symlink_to(os.path.relpath(folder.resolve(), root.resolve()))
        try:
            link.replace(root / "latest")
        finally:
            link.unlink(missing_ok=True)


@contextmanager
def removed_unless_recorded(folder: Path) -> Iterator[None]:
    """Remove the new folder of a run after the block if there is no record in it: a refusal leaves nothing.

    A group whose ranks were killed leaves their logs.
    """
    try:
        yield
    finally:
        if not any((folder / name).exists() for name in ("run.json", "ranks")):
            shutil.rmtree(folder, ignore_errors=True)


def put_aside(folder: Path) -> None:
    """Rename a folder that an earlier attempt left to `NAME.attempt1`, or the next free number."""
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
            f"cannot make a folder in {parent}: {error.strerror}; free that path, or start in a folder you can write to"
        ) from error


def _random_hex() -> str:
    # From the system, not from `random`, which two processes may have seeded alike.
    return os.urandom(3).hex()
