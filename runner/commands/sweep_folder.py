"""The folder of a sweep: its jobs, each with its frozen configuration, and at the end its table and page."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.commands.prepare_sweep import Sweep
from runner.config.jobs import Job
from runner.config.launch import write_hydra_files
from runner.loaders.settings import LoaderSettings
from runner.records.dotted import value_at
from runner.reports.index_page import refresh_index
from runner.reports.live_page import LivePage
from runner.reports.sweep_page import MOST_DRAWN, write_job_pages, write_sweep_report
from runner.settings import Settings
from runner.sweeps.results import SweepResults, read_results
from runner.sweeps.results_table import report_results
from runner.sweeps.sweep_plan import FROZEN, PlannedJob, SearchPlan, SweepPlan, freeze

Numbers = dict[str, int]
"""The number of the first job of each identity."""


def begin_plan(sweep: Sweep, folder: Path, argv: Sequence[str], search: SearchPlan | None = None) -> SweepPlan:
    """The plan of a sweep in its new folder, without jobs, and not written yet."""
    settings = sweep.settings
    (folder / FROZEN).mkdir()
    return SweepPlan(folder, tuple(argv), sweep.varied, (), settings.objective, settings.goal, search)


def add_jobs(plan: SweepPlan, jobs: Sequence[Job], numbers: Numbers) -> SweepPlan:
    """The plan with these jobs added, written to sweep.json."""
    planned = [plan_job(plan, number, job, numbers) for number, job in enumerate(jobs, len(plan.jobs))]
    plan = replace(plan, jobs=(*plan.jobs, *planned))
    plan.write()
    return plan


def plan_job(plan: SweepPlan, number: int, job: Job, numbers: Numbers) -> PlannedJob:
    """The planned job; frozen and added to `numbers`, unless it equals an earlier one."""
    first = numbers.setdefault(identity(job.settings), number)
    if first == number:
        _freeze_job(plan, number, job)
    files, same_as = tuple(map(str, job.foreign_files)), None if first == number else first
    return PlannedJob(number, job.plain_overrides, varied_values(job, plan.varied), files, same_as)


def _freeze_job(plan: SweepPlan, number: int, job: Job) -> None:
    """Let Hydra write its files as for a run in the job's folder, then move them to the frozen folder."""
    shutil.rmtree(plan.frozen_folder(number), ignore_errors=True)  # left by a search that was killed here
    folder = plan.job_folder(number)
    write_hydra_files(job, folder)
    folder.rename(plan.frozen_folder(number))
    freeze(plan, number, job.settings.document())


def effective(settings: Settings) -> dict[str, Any]:
    """The settings as plain values; keys that the loader does not use have their defaults."""
    document, loader = settings.document(), settings.loader
    return document | ({"loader": loader.normalised().document()} if isinstance(loader, LoaderSettings) else {})


def identity(settings: Settings) -> str:
    """A text that is equal for jobs that do the same."""
    return json.dumps(effective(settings), sort_keys=True)


def varied_values(job: Job, keys: Sequence[str]) -> dict[str, Any]:
    """The values of the varied keys: the chosen file of a group, None for a key of the loader without effect."""
    requested = dict(text.lstrip("~").split("=", 1) for text in job.plain_overrides if "=" in text)
    document, loader = job.settings.document(), job.settings.loader
    idle = {f"loader.{key}" for key in loader.idle_keys()} if isinstance(loader, LoaderSettings) else set()
    values = {}
    for key in keys:
        value = value_at(document, key)
        is_group = value is None or (isinstance(value, Mapping) and "kind" in value)
        values[key] = None if key in idle else requested.get(key) if is_group else value
    return values


def live_page(folder: Path) -> AbstractContextManager[object]:
    """Draws the page of the sweep in `folder` while its jobs run."""
    return closing(LivePage(lambda: write_sweep_report(read_results(folder))))


def report_end(folder: Path) -> SweepResults:
    """Report the results of the sweep in `folder`: its table, its files and its page."""
    results = read_results(folder)
    sys.stdout.write("\n")
    report_results(results)
    _draw(results)
    return results


def _draw(results: SweepResults) -> None:
    """Draw the page, before it those of the jobs, if they are few, and then that of all runs.

    One that cannot be drawn fails no sweep.
    """
    try:
        write_job_pages(results, MOST_DRAWN)
        sys.stdout.write(f"report    {write_sweep_report(results)}\n")
    except Exception as error:
        sys.stdout.write(f"cannot write the report: {type(error).__name__}: {error}\n")
    if problem := refresh_index(results.plan.folder):
        sys.stdout.write(f"{problem}\n")
