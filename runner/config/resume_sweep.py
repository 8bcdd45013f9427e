"""`sweep.resume`: what is missing of an earlier sweep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from runner.config.base import LATEST
from runner.errors import ConfigurationError
from runner.records.folder import OUTPUTS
from runner.records.sweep import SearchPlan, SweepPlan, newest_sweep, read_sweep
from runner.resuming import resumable
from runner.settings import Settings
from runner.store.run import Run
from runner.store.sweep import SweepJob
from runner.sweeping.process import Attempt
from runner.sweeping.settings import SweepSettings


def unfinished(name: Path) -> tuple[SweepPlan, list[Attempt]]:
    """The sweep of that name, `latest` the newest, and what is to be run of it: all that is not completed.

    Of a search a trial that failed or was given up is done with: only what was ended, or never begun, is run.

    Raises `ConfigurationError` where there is no such sweep, or it is still running.
    """
    plan = read_sweep(_folder(name), "sweep.resume")
    if plan.process is not None and plan.is_running:
        raise ConfigurationError(
            f"sweep.resume must be a sweep that has ended, got {plan.folder}, which is still running on "
            f"{plan.process['host']} as process {plan.process['pid']}; stop that first"
        )
    runs = {job.number: Run(plan.job_folder(job.number), str(job.number)) for job in plan.distinct}
    alive = [number for number, run in runs.items() if run.status == "running"]
    if alive:
        jobs = ", ".join(map(str, alive))
        raise ConfigurationError(
            f"sweep.resume must be a sweep whose jobs have ended, got {plan.folder}, of which {jobs} still run; "
            "stop them first"
        )
    return plan, list(_attempts(plan, runs))


def more_trials(plan: SweepPlan, search: SearchPlan, settings: SweepSettings) -> SweepPlan:
    """The search with as many trials as are asked for now.

    Raises `ConfigurationError` for another objective, or for fewer trials than there have been.
    """
    if settings.objective is not None:
        raise ConfigurationError(
            f"sweep.objective must stay what {plan.folder} was searching by, got {settings.objective}; leave it out, "
            "or begin another search"
        )
    trials = settings.trials or search.trials
    if trials < len(plan.jobs):
        raise ConfigurationError(
            f"sweep.trials must be at least the {len(plan.jobs)} there are in {plan.folder}, got {trials}; raise it"
        )
    return replace(plan, search=replace(search, trials=trials))


def _folder(name: Path) -> Path:
    if str(name) != LATEST:
        return name
    newest = newest_sweep(OUTPUTS)
    if newest is None:
        raise ConfigurationError(
            f"sweep.resume={LATEST} must find a sweep, got none in {OUTPUTS / 'sweeps'}; start one with -m"
        )
    return newest


def _attempts(plan: SweepPlan, runs: dict[int, Run]) -> Iterator[Attempt]:
    done = ("completed", "failed", "pruned") if plan.search else ("completed",)
    for number, run in runs.items():
        if SweepJob(plan.jobs[number], run).status not in done:
            was_ended = run.status in ("interrupted", "killed")
            yield Attempt(plan.jobs[number], again=was_ended and _can_go_on(plan, number))


def _can_go_on(plan: SweepPlan, number: int) -> bool:
    """Whether a job that was ended may go on where it was; else it begins anew."""
    config = plan.config(number) | {"resume": str(plan.job_folder(number))}
    try:
        return resumable(Settings.model_validate_json(json.dumps(config))) is not None
    except ConfigurationError:
        return False
