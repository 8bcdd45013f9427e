"""Where runs lie, and which one somebody means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runner.errors import ConfigurationError
from runner.records.config_yaml import NAME as CONFIG_YAML
from runner.records.record import RUN_JSON
from runner.records.run_folder import Run

LATEST = "latest"


def all_runs(root: Path) -> list[Run]:
    """The runs below `root`, oldest first: those of `runs/`, and the jobs of `sweeps/`, named SWEEP/NUMBER."""
    runs = [Run(folder, folder.name) for folder in _folders(root / "runs")]
    for sweep in _folders(root / "sweeps"):
        jobs = sorted(_folders(sweep), key=_job_number)
        runs += [Run(job, f"{sweep.name}/{job.name}") for job in jobs if job.name.isdecimal()]
    # Folders are named by their time, so the names stand in its order; a sweep's jobs in that of their numbers.
    return sorted(runs, key=lambda run: run.name.partition("/")[0])


def find_run(root: Path, name: str) -> Run:
    """The run of that name: a folder, `latest`, or any part of a name that only one run has.

    Raises `ConfigurationError` where no run is meant, or several are.
    """
    folder = root / LATEST if name == LATEST else Path(name)
    if folder.is_dir():
        return _run_in(folder)
    runs = all_runs(root)
    # The whole name of one run may be part of another's: SWEEP/1 and SWEEP/10.
    exact = [run for run in runs if run.name == name or run.name.endswith(f"_{name}")]
    found = exact or [run for run in runs if name in run.name]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(run.name for run in found[:3])
        raise ConfigurationError(f"run must be one run, got {name}, part of the name of {some}, …; type more of it")
    raise ConfigurationError(
        f"run must be a folder, {LATEST} or part of a run's name, got {name}, and no run below {root} is called so; "
        "python -m runner.runs list names them"
    )


def _run_in(folder: Path) -> Run:
    if not any((folder / name).exists() for name in (RUN_JSON, CONFIG_YAML)):
        jobs = f"; give one of its jobs, {folder / '0'}" if (folder / "0").is_dir() else ""
        raise ConfigurationError(f"run must be the folder of a run, got {folder}, which has no {RUN_JSON}{jobs}")
    resolved = folder.resolve()
    job = resolved.name.isdecimal() and resolved.parent.parent.name == "sweeps"
    return Run(folder, f"{resolved.parent.name}/{resolved.name}" if job else resolved.name)


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from (entry for entry in parent.iterdir() if entry.is_dir() and not entry.is_symlink())


def _job_number(folder: Path) -> int:
    return int(folder.name) if folder.name.isdecimal() else -1
