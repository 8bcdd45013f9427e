"""A sweep from beginning to end: frozen, run, told."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from runner.commands import complain
from runner.config.freeze import freeze_sweep
from runner.config.jobs import Sweep
from runner.config.resume_sweep import unfinished
from runner.records.folder import new_sweep_folder
from runner.records.sweep import SweepPlan
from runner.store.sweep import read_results
from runner.store.sweep_table import notes, print_table, unfinished_lines, write_files
from runner.sweeping.process import Attempt
from runner.sweeping.schedule import run_jobs
from runner.sweeping.view import view_of


def run_sweep(sweep: Sweep, argv: Sequence[str]) -> int:
    """Run the jobs of a sweep, or what is missing of an earlier one, and tell what came of it; the exit code."""
    plan, attempts = _begin(sweep, argv)
    sys.stdout.write(f"sweep     {plan.folder}: {len(plan.jobs)} jobs, {len(attempts)} to run\n")
    sys.stdout.flush()
    try:
        with plan.running(), view_of(plan, attempts) as view:
            run_jobs(plan, attempts, sweep.settings, view)
    finally:
        unsound = _tell(plan)
    if unsound:
        complain(f"{len(unsound)} of {len(plan.distinct)} jobs are not completed", *unsound)
    return int(bool(unsound))


def _tell(plan: SweepPlan) -> list[str]:
    """Write and print the table; a line for each job that is not completed."""
    results = read_results(plan.folder)
    files = write_files(results)
    sys.stdout.write("\n")
    print_table(results)
    sys.stdout.write("\n" + "".join(f"{note}\n" for note in notes(results)))
    sys.stdout.writelines(f"table     {file}\n" for file in files)
    return list(unfinished_lines(results))


def _begin(sweep: Sweep, argv: Sequence[str]) -> tuple[SweepPlan, list[Attempt]]:
    settings = sweep.settings
    if settings.resume is None:
        plan = freeze_sweep(sweep, new_sweep_folder(), argv)
        return plan, [Attempt(job.number) for job in plan.distinct]
    plan, attempts = unfinished(settings.resume)
    if settings.objective is not None:
        plan = replace(plan, objective=settings.objective, goal=settings.goal)
    return plan, attempts
