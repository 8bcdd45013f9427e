"""report.html of a sweep, which compares its jobs; drawn from their records."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.records.columns import meanings, title_of
from runner.records.dotted import flat
from runner.records.files import write_atomically
from runner.records.folder import call
from runner.records.record import RUN_JSON
from runner.reports.html import REPORT_HTML, aligned, render_page, sections_of
from runner.reports.page import MOST_PREDICTIONS_BYTES, write_report
from runner.reports.parallel import parallel_plot
from runner.reports.sweep_charts import (
    curves_left_out,
    job_curves,
    job_legend,
    same_for_all,
    setting_charts,
    setting_legend,
)
from runner.sweeps.results import SweepJob, SweepResults
from runner.sweeps.results_table import agreements, best_command, over_repeats, repeats
from runner.sweeps.sweep_plan import REPEATS
from runner.sweeps.trials import best_trial

ENVIRONMENT = ("versions", "machine", "git")
"""Sections of run.json that describe the environment of a job."""

MAX_JOBS = 1000
"""The most rows of the table; sweep.csv has all jobs."""

MOST_DRAWN = 20
"""The most jobs whose pages are drawn when their sweep ends, in about a second."""

DIRECTIONS = {"min": "ascending", "max": "descending"}


@dataclass(frozen=True)
class JobRow:
    """A row of the table of jobs; `link`: the relative address of the page of the job, if it has one."""

    number: int
    link: str | None
    status: str
    varied: Sequence[Any]
    results: Sequence[tuple[Any, str]]
    error: str | None


def write_sweep_report(results: SweepResults) -> Path:
    """Draw the page of a sweep, whether or not its jobs completed, and return its path.

    Raises `RunnerError` if the page cannot be written.
    """
    path = results.plan.folder / REPORT_HTML
    write_atomically(path, render_sweep(results), overwrite=True)
    return path


def write_job_pages(results: SweepResults, most: int | None = None) -> int:
    """Draw the page of each job that has a record; none if there are more than `most`. Returns how many were drawn.

    A page that cannot be drawn is passed over.
    """
    ended = [job.run.path for job in results.jobs if (job.run.path / RUN_JSON).exists()]
    drawn = 0
    for folder in ended if most is None or len(ended) <= most else ():
        with suppress(Exception):
            write_report(folder, max_bytes=MOST_PREDICTIONS_BYTES)
            drawn += 1
    return drawn


def render_sweep(results: SweepResults) -> str:
    """The page as text."""
    objective = results.objective
    best = _best(results)
    documents = [job.run.document for job in results.jobs if job.run.document.get("versions")]
    settings, curves, parallel = setting_charts(results), job_curves(results), parallel_plot(results)
    return render_page(
        "sweep.html.j2",
        key=results.plan.folder.resolve().name,
        is_live=results.plan.is_running,
        has_charts=bool(settings or curves),
        name=_name(results),
        status=_status(results),
        counts=results.status_counts(),
        best=best,
        objective=objective,
        command=shlex.join(["python", "-m", "runner", *results.plan.argv]),
        columns=list(map(title_of, results.columns)),
        meanings=meanings(results.columns),
        varied=[(key, _is_numeric(results, key)) for key in results.plan.varied],
        sorted={title_of(objective.key): DIRECTIONS[objective.goal]} if best else {},
        rows=_rows(results),
        undrawn=_undrawn(results),
        parallel=parallel,
        left_out=max(0, len(results.jobs) - MAX_JOBS),
        spread=over_repeats(results),
        spread_keys=sum(key not in REPEATS for key in results.plan.varied) + (results.plan.members > 1),
        spread_over=" and ".join(REPEATS[key] for key in repeats(results)),
        settings=settings,
        setting_legend=setting_legend(results),
        same_for_all=same_for_all(results),
        curves=curves,
        curve_legend=job_legend(results),
        curves_left_out=curves_left_out(results),
        agreements=list(agreements(results.jobs)),
        repeated=results.repeated,
        environment=sections_of(_shared(documents), ENVIRONMENT),
        differing=_differing(documents),
    )


def _best(results: SweepResults) -> tuple[str, float | None, str] | None:
    """The best job, or trial of several jobs, in words, its objective, and its command; None if there is none."""
    if results.plan.members > 1:
        trial = best_trial(results)
        if trial is None:
            return None
        return f"trial {trial.number} ({trial.setting})", trial.value(results.objective), best_command(results)
    job = results.best
    if job is None:
        return None
    name = f"job {job.planned.number} ({job.short_setting})"
    return name, results.objective.value(job.run), best_command(results)


def _status(results: SweepResults) -> tuple[str, str]:
    """The status of the sweep, as a run has one, and its text."""
    counts, text = results.status_counts(), results.status_text()
    if results.plan.is_running:
        return "running", f"running: {text}"
    if not counts:
        return "waiting", text
    return ("completed" if set(counts) <= {"completed", "pruned"} else "failed"), text


def _is_numeric(results: SweepResults, key: str) -> bool:
    values = [job.planned.varied.get(key) for job in results.jobs]
    return all(isinstance(value, int | float | None) and not isinstance(value, bool) for value in values)


def _name(results: SweepResults) -> str:
    """The name that all jobs have, and that of the folder."""
    names, folder = {job.run.config.get("name") for job in results.jobs}, results.plan.folder.resolve().name
    (name,) = names if len(names) == 1 else (None,)
    return folder if name is None else f"{name} ({folder})"


def _undrawn(results: SweepResults) -> str | None:
    """The command that draws the pages of the jobs, if some of them have none."""
    ended = [job for job in results.jobs if (job.run.path / RUN_JSON).exists()]
    if all((job.run.path / REPORT_HTML).exists() for job in ended):
        return None
    return shlex.join(["python", "-m", "runner.report", call(results.plan.folder)])


def _rows(results: SweepResults) -> list[JobRow]:
    jobs = results.jobs[:MAX_JOBS]
    displayed = [results.displayed(job) for job in jobs]
    columns = [list(zip(column, aligned(column), strict=True)) for column in zip(*displayed, strict=True)]
    shown: list[tuple[tuple[Any, str], ...]] = list(zip(*columns, strict=True)) or [()] * len(jobs)
    return [_row(results, job, values) for job, values in zip(jobs, shown, strict=True)]


def _row(results: SweepResults, job: SweepJob, values: Sequence[tuple[Any, str]]) -> JobRow:
    link = f"{job.planned.number}/{REPORT_HTML}" if (job.run.path / REPORT_HTML).exists() else None
    varied = [job.planned.varied.get(key) for key in results.plan.varied]
    return JobRow(job.planned.number, link, job.status, varied, values, job.error)


def _entries(document: Mapping[str, Any]) -> dict[str, Any]:
    return dict(flat({name: document.get(name) for name in ENVIRONMENT}))


def _shared(documents: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The part of the environment that is the same for all jobs, by section."""
    environments = [_entries(document) for document in documents]
    first: Mapping[str, Any] = environments[0] if environments else {}
    same = {key: value for key, value in first.items() if all(other.get(key) == value for other in environments)}
    sections: dict[str, dict[str, Any]] = {name: {} for name in ENVIRONMENT}
    for key, value in same.items():
        section, _, name = key.partition(".")
        sections[section] |= {name: value} if name else {}
    return sections


def _differing(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of the environment in which jobs differ."""
    environments = [_entries(document) for document in documents]
    keys = dict.fromkeys(key for entries in environments for key in entries)
    return [key for key in keys if any(entries.get(key) != environments[0].get(key) for entries in environments)]
