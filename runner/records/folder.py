"""Folders of runs and sweeps: how they are made and named, and the link `latest` to the newest run."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from runner.errors import ConfigurationError

OUTPUTS = Path("outputs")
OUTPUT_DIR, VARIABLE = "output_dir", "KERAS_RUNNER_OUTPUT_DIR"
"""The key, and the environment variable, that name another folder than `OUTPUTS`."""

PROBE_BYTES = 65_536
"""What a new folder must have room for."""

MODEL, CHECKPOINTS = "model.keras", "checkpoints"
"""In the folder of a run: the final model, and the folder of the best model, the last model and the states."""


def outputs(given: Path | None = None) -> Path:
    """The folder of runs and sweeps: the one given, else that of the environment variable, else `OUTPUTS`.

    `~` at its beginning is the home folder.
    """
    folder = given or Path(os.environ.get(VARIABLE) or OUTPUTS)
    try:
        return folder.expanduser()
    except RuntimeError:  # no such user
        return folder


def call(folder: Path) -> str:
    """What a command calls the folder of a run or sweep: its name if it lies in `OUTPUTS`, else its path."""
    folder = folder.resolve()
    return folder.name if folder.parent.parent.name == OUTPUTS.name else str(folder)


def new_run_folder(root: Path | None = None) -> Path:
    """Make the folder ``root/runs/<date>_<time>_<6 random hex>``, with a unique name; the time is local.

    Raises `ConfigurationError`, and leaves nothing, if there can be no such folder, or no file in it.
    """
    return _new_folder((root or outputs()) / "runs")


def new_sweep_folder(root: Path | None = None) -> Path:
    """Make ``root/sweeps/<date>_<time>_<6 random hex>``, as `new_run_folder` does."""
    return _new_folder((root or outputs()) / "sweeps")


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


def put_aside(folder: Path) -> None:
    """Rename a folder that an earlier attempt left to `NAME.attempt1`, or the next free number."""
    if folder.exists():
        attempts = (folder.with_name(f"{folder.name}.attempt{attempt}") for attempt in count(1))
        folder.rename(next(path for path in attempts if not path.exists()))


def _new_folder(parent: Path) -> Path:
    missing = [folder for folder in (parent, *parent.parents) if not os.path.lexists(folder)]
    folder = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while folder is None:
            free = parent / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{_random_hex()}"
            with suppress(FileExistsError):
                free.mkdir()
                folder = free
        probe = folder / ".probe"
        probe.write_bytes(bytes(PROBE_BYTES))
        probe.unlink()
        return folder
    except OSError as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        for made in missing:
            with suppress(OSError):
                made.rmdir()
        raise ConfigurationError(
            f"{OUTPUT_DIR} must be a folder to write to, got {parent.parent}: cannot make a folder in {parent}: "
            f"{error.strerror}; free that path, or give {OUTPUT_DIR}=DIR"
        ) from error


def _random_hex() -> str:
    # From the system, not from `random`, which two processes may have seeded alike.
    return os.urandom(3).hex()
