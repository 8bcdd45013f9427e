"""A sweep: its jobs are frozen, run and reported."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from runner.commands.hydra_sweeper import run_by_sweeper
from runner.commands.prepare_sweep import Sweep
from runner.commands.resume_sweep import more_trials, unfinished_jobs
from runner.commands.search import begin_search, run_search
from runner.commands.sweep_folder import add_jobs, begin_plan, live_page, report_end
from runner.exit import complain
from runner.messages import plural
from runner.records.folder import new_sweep_folder
from runner.sweeps.process import JobAttempt, JobOutcome, last_line
from runner.sweeps.results import SweepResults
from runner.sweeps.results_table import unfinished_lines
from runner.sweeps.schedule import run_jobs
from runner.sweeps.sweep_plan import SweepPlan
from runner.sweeps.view import view_of


def run_sweep(sweep: Sweep, argv: Sequence[str]) -> int:
    """Run the jobs of a sweep, or the rest of an earlier one, and report the results; the exit code."""
    if sweep.for_sweeper:
        return _report_unfinished(*run_by_sweeper(sweep, argv))
    plan, attempts = _begin(sweep, argv)
    if plan.search is not None:
        return run_search(plan, plan.search, attempts, sweep.settings)
    sys.stdout.write(f"sweep     {plan.folder}: {plural(len(plan.jobs), 'job')}, {len(attempts)} to run\n")
    sys.stdout.flush()
    try:
        with plan.running(), live_page(plan.folder), view_of(plan, len(attempts)) as view:
            outcomes = run_jobs(plan, attempts, sweep.settings, view, slots=sweep.settings.slots(len(attempts)))
    finally:
        results = report_end(plan.folder)
    return _report_unfinished(results, outcomes)


def _report_unfinished(results: SweepResults, outcomes: Sequence[JobOutcome]) -> int:
    """Report the jobs that did not complete; the exit code."""
    unfinished = [*unfinished_lines(results), *_refused(results, outcomes)]
    if unfinished:
        complain(f"{len(unfinished)} of {plural(len(results.plan.distinct), 'job')} did not complete", *unfinished)
    return int(bool(unfinished))


def _refused(results: SweepResults, outcomes: Sequence[JobOutcome]) -> Iterator[str]:
    """A line for each job that completed with an exit code, as `mode=check` does for bad data."""
    completed = {job.planned.number for job in results.jobs if job.status == "completed"}
    for outcome in outcomes:
        if outcome.exit_code and outcome.number in completed:
            folder = results.plan.job_folder(outcome.number)
            yield f"job {outcome.number} ended with exit code {outcome.exit_code}: {last_line(folder)} ({folder})"


def _begin(sweep: Sweep, argv: Sequence[str]) -> tuple[SweepPlan, list[JobAttempt]]:
    settings = sweep.settings
    if sweep.space is not None:
        return begin_search(sweep, sweep.space, new_sweep_folder(sweep.root), argv), []
    if settings.resume is None:
        plan = add_jobs(begin_plan(sweep, new_sweep_folder(sweep.root), argv), sweep.jobs, {})
        return plan, [JobAttempt(job) for job in plan.distinct]
    plan, attempts = unfinished_jobs(settings.resume, sweep.extensions, root=sweep.root, takeover=settings.takeover)
    if plan.search is not None:
        return more_trials(plan, plan.search, settings, sweep.extensions), attempts
    if settings.objective is not None:
        plan = replace(plan, objective=settings.objective, goal=settings.goal)
    return plan, attempts
