"""report.html of a sweep: its jobs compared, made of their records and of nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.records.columns import meanings, title_of
from runner.records.dotted import flat
from runner.records.files import write_atomically
from runner.reports.html import NAME, render_page, sections_of
from runner.reports.sweep_charts import (
    curves_left_out,
    job_curves,
    job_legend,
    same_for_all,
    setting_charts,
    setting_legend,
)
from runner.sweeps.results import SweepJob, SweepResults
from runner.sweeps.results_table import agreements, over_seeds

ENVIRONMENT = ("versions", "machine", "git")
"""Sections of run.json that say where a job ran."""

SHOWN_JOBS = 1000
"""Rows of the table at most; sweep.csv has all."""

DIRECTIONS = {"min": "ascending", "max": "descending"}


@dataclass(frozen=True)
class Row:
    """A job in the table: the address of its own page where it has one, its cells, and what went wrong."""

    number: int
    link: str | None
    status: str
    varied: Sequence[Any]
    figures: Sequence[Any]
    error: str | None


def write_sweep_report(results: SweepResults) -> Path:
    """Draw the page of a sweep, whatever became of its jobs, and return its path.

    Raises `RunnerError` where the page cannot be written.
    """
    path = results.plan.folder / NAME
    write_atomically(path, render_sweep(results), overwrite=True)
    return path


def render_sweep(results: SweepResults) -> str:
    """The page as text."""
    objective = results.objective
    best = results.best
    documents = [job.run.document for job in results.jobs if "versions" in job.run.document]
    return render_page(
        "sweep.html.j2",
        name=results.plan.folder.resolve().name,
        status=_status(results),
        counts=results.counts(),
        best=best,
        objective=objective,
        command=shlex.join(["python", "-m", "runner", *results.plan.argv]),
        columns=list(map(title_of, results.figures)),
        meanings=meanings(results.figures),
        varied=[(key, _is_numeric(results, key)) for key in results.plan.varied],
        sorted={title_of(objective.key): DIRECTIONS[objective.goal]} if best else {},
        rows=[_row(results, job) for job in results.jobs[:SHOWN_JOBS]],
        left_out=max(0, len(results.jobs) - SHOWN_JOBS),
        spread=over_seeds(results),
        settings=setting_charts(results),
        setting_legend=setting_legend(results),
        same_for_all=same_for_all(results),
        curves=job_curves(results),
        curve_legend=job_legend(results),
        curves_left_out=curves_left_out(results),
        agreements=list(agreements(results.jobs)),
        repeated=results.repeated,
        environment=sections_of(_shared(documents), ENVIRONMENT),
        differing=_differing(documents),
    )


def _status(results: SweepResults) -> tuple[str, str]:
    """How the sweep stands, in the words of a run, and as it is told."""
    counts, told = results.counts(), results.told_counts()
    if results.plan.is_running:
        return "running", f"running: {told}"
    if not counts:
        return "waiting", told
    return ("completed" if set(counts) <= {"completed", "pruned"} else "failed"), told


def _is_numeric(results: SweepResults, key: str) -> bool:
    values = [job.planned.varied.get(key) for job in results.jobs]
    return all(isinstance(value, int | float | None) and not isinstance(value, bool) for value in values)


def _row(results: SweepResults, job: SweepJob) -> Row:
    link = f"{job.planned.number}/{NAME}" if (job.run.path / NAME).exists() else None
    varied = [job.planned.varied.get(key) for key in results.plan.varied]
    return Row(job.planned.number, link, job.status, varied, results.shown(job), job.error)


def _entries(document: Mapping[str, Any]) -> dict[str, Any]:
    return dict(flat({name: document.get(name) for name in ENVIRONMENT}))


def _shared(documents: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By section, the keys of the environment in which all jobs are the same, and what stands there."""
    told = [_entries(document) for document in documents]
    first: Mapping[str, Any] = told[0] if told else {}
    same = {key: value for key, value in first.items() if all(other.get(key) == value for other in told)}
    sections: dict[str, dict[str, Any]] = {name: {} for name in ENVIRONMENT}
    for key, value in same.items():
        section, _, name = key.partition(".")
        sections[section] |= {name: value} if name else {}
    return sections


def _differing(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of the environment in which jobs are not the same."""
    told = [_entries(document) for document in documents]
    keys = dict.fromkeys(key for entries in told for key in entries)
    return [key for key in keys if any(entries.get(key) != told[0].get(key) for entries in told)]
