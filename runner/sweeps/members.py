"""The runs of a sweep whose models are averaged: those of one setting, over its seeds and folds."""

from __future__ import annotations

from math import inf
from pathlib import Path
from statistics import fmean

from runner.errors import ConfigurationError
from runner.records.earlier import run_to_use
from runner.records.output import csv_text
from runner.records.run_folder import RunFolder
from runner.sweeps.results import SweepJob, SweepResults, read_results
from runner.sweeps.results_table import repeats
from runner.sweeps.sweep_plan import REPEATS, SWEEP_JSON
from runner.sweeps.trials import best_trial


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / SWEEP_JSON).is_file()


def runs_to_use(folder: Path) -> tuple[RunFolder, ...]:
    """The run in `folder`; of a sweep over seeds or folds, those of its best setting, which have completed.

    Raises `ConfigurationError` if there is no model, or for a sweep over neither.
    """
    if not is_sweep(folder):
        return (run_to_use(folder),)
    results = read_results(folder)
    if not repeats(results):
        raise ConfigurationError(
            f"from_run must be a run, or a sweep over seed or data.fold, got {folder}, whose jobs are no repetitions; "
            f"give one of them, from_run={folder / '0'}"
        )
    best = _best_jobs(results)
    if not best:
        what = "jobs" if results.plan.members == 1 else "trials"
        raise ConfigurationError(
            f"from_run must be a sweep with completed {what}, got {folder}; give sweep.resume={folder}"
        )
    runs = [run_to_use(job.run.path) for job in sorted(best, key=lambda job: job.planned.number)]
    if other := next((run for run in runs if run.heads != runs[0].heads), None):
        raise ConfigurationError(
            f"from_run must be a sweep whose models predict the same, got {folder}: {other.path} has other classes or "
            f"targets than {runs[0].path}"
        )
    return tuple(runs)


def _best_jobs(results: SweepResults) -> list[SweepJob]:
    """The completed jobs of the setting with the best mean objective; of a search those of its best trial."""
    if results.plan.members > 1:
        trial = best_trial(results)
        return [] if trial is None else list(trial.jobs)
    settings: dict[tuple[str, ...], list[SweepJob]] = {}
    for job in results.jobs:
        if job.status == "completed":
            varied = (csv_text(value) for key, value in job.planned.varied.items() if key not in REPEATS)
            settings.setdefault(tuple(varied), []).append(job)
    return min(settings.values(), key=lambda jobs: _rank(results, jobs), default=[])


def _rank(results: SweepResults, jobs: list[SweepJob]) -> float:
    """The mean objective of jobs, the best of all settings first."""
    values = [value for job in jobs if (value := results.objective.value(job.run)) is not None]
    sign = -1 if results.objective.goal == "max" else 1
    return sign * fmean(values) if values else inf
