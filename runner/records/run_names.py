"""The runs below a folder, and how one of them is found by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from runner.errors import ConfigurationError, RunnerError
from runner.messages import first_few
from runner.records.config_yaml import CONFIG_YAML
from runner.records.folder import point_latest
from runner.records.record import RUN_JSON
from runner.records.run_document import read_document
from runner.records.run_folder import LATEST, RunFolder

MOST_NAMES = 3
"""How many runs a message names when several match."""

MADE = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{6}(\.attempt\d+)?")
"""The names of folders that the runner makes."""


def all_runs(root: Path) -> list[RunFolder]:
    """The runs below `root`, oldest first: those of `runs/`, and the jobs of each sweep in `sweeps/` by number.

    A folder that has another name than a run, and no record of one, is left out.
    """
    runs = [RunFolder(folder) for folder in _folders(root / "runs") if _is_run(folder)]
    for sweep in _folders(root / "sweeps"):
        jobs = sorted(_folders(sweep), key=_job_number)
        is_ours = MADE.fullmatch(sweep.name)
        runs += [RunFolder(job) for job in jobs if job.name.isdecimal() and (is_ours or _has_record(job))]
    # Folder names begin with the time.
    return sorted(runs, key=lambda run: run.name.partition("/")[0])


def find_run(root: Path, name: str) -> RunFolder:
    """The run called `name`: a folder, `latest`, or any part of a name that only one run has.

    Raises `ConfigurationError` if no run matches, or several do.
    """
    folder = _latest(root) if name == LATEST else Path(name)
    if folder.is_dir():
        return _run_in(folder)
    if (found := named_run(root, name, "run")) is not None:
        return found
    raise ConfigurationError(
        f"run must be a folder, {LATEST} or part of a run's name, got {name}, which matches no run below {root}; "
        "python -m runner.runs list shows all runs"
    )


def named_run(root: Path, name: str, key: str) -> RunFolder | None:
    """The only run with `name` in its name; None if there is none.

    Raises `ConfigurationError`, for the configuration key `key`, if there are several.
    """
    runs = all_runs(root)
    # The whole name of one run may be part of another's: SWEEP/1 and SWEEP/10.
    exact = [run for run in runs if run.name == name or run.name.endswith(f"_{name}")]
    found = exact or [run for run in runs if name in run.name]
    if len(found) > 1:
        names = first_few((run.name for run in found), most=MOST_NAMES)
        raise ConfigurationError(f"{key} must match one run, got {name}, which matches {names}; type more of the name")
    return found[0] if found else None


def repair_latest(root: Path) -> None:
    """Point a broken link `latest` to the newest run; remove it if there is none."""
    link = root / LATEST
    if not link.is_symlink() or link.exists():
        return
    remaining = [run for run in all_runs(root) if run.path.parent.name == "runs"]
    if remaining:
        point_latest(root, remaining[-1].path)
    else:
        link.unlink()


def _latest(root: Path) -> Path:
    """The run that the link `latest` names; the newest other one, if that is a debug run."""
    link = root / LATEST
    if not (link.is_dir() and RunFolder(link).is_debug):
        return link
    others = [run.path for run in all_runs(root) if run.path.parent.name == "runs" and not run.is_debug]
    return others[-1] if others else link


def _run_in(folder: Path) -> RunFolder:
    if not any((folder / name).exists() for name in (RUN_JSON, CONFIG_YAML)):
        jobs = f"; give one of its jobs, {folder / '0'}" if (folder / "0").is_dir() else ""
        raise ConfigurationError(f"run must be the folder of a run, got {folder}, which has no {RUN_JSON}{jobs}")
    return RunFolder(folder)


def _is_run(folder: Path) -> bool:
    return bool(MADE.fullmatch(folder.name)) or _has_record(folder)


def _has_record(folder: Path) -> bool:
    """Whether the folder has a run.json that is the record of a run."""
    try:
        read_document(folder / RUN_JSON)
    except RunnerError:
        return False
    return True


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from (entry for entry in parent.iterdir() if entry.is_dir() and not entry.is_symlink())


def _job_number(folder: Path) -> int:
    return int(folder.name) if folder.name.isdecimal() else -1
