"""A sweep whose jobs are proposed by a sweeper plugin of Hydra's, `hydra/sweeper=NAME`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException

from runner.commands.prepare_sweep import Sweep
from runner.commands.sweep_folder import Numbers, add_jobs, begin_plan, live_page, report_end
from runner.config.config_file import PRIMARY, our_plugins
from runner.config.files import Library, open_library
from runner.config.jobs import check_jobs
from runner.config.launch import quoted
from runner.config.overrides import for_hydra, is_of_sweeper, parse
from runner.errors import ConfigurationError, JobError
from runner.messages import plural
from runner.records.columns import monitored, objective_of
from runner.records.folder import new_sweep_folder
from runner.records.run_folder import RunFolder
from runner.sweeps.process import JobAttempt, JobOutcome
from runner.sweeps.results import SweepJob, SweepResults
from runner.sweeps.schedule import run_jobs
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan, read_sweep
from runner.sweeps.view import view_of

RunBatch = Callable[[Sequence[Sequence[str]]], list[JobReturn]]
"""Runs jobs, each given by its overrides, and returns the result of each."""


def run_by_sweeper(sweep: Sweep, argv: Sequence[str]) -> tuple[SweepResults, list[JobOutcome]]:
    """Run the jobs that Hydra's sweeper proposes, until it proposes no more or stops at a failed job.

    Raises `ConfigurationError` if the sweeper or a job it proposes cannot run. A sweep without a job leaves no folder.
    """
    plan = begin_plan(sweep, new_sweep_folder(sweep.root), argv)
    outcomes: list[JobOutcome] = []
    try:
        with plan.running(), live_page(plan.folder), open_library() as library:
            batches = Batches(sweep, read_sweep(plan.folder), library, outcomes)
            _multirun(sweep.for_sweeper, plan.folder, batches.run)
    except JobError:
        pass  # reported with the other jobs
    except HydraException as error:
        raise ConfigurationError(" ".join(str(error).split())) from error
    finally:
        if read_sweep(plan.folder).jobs:
            results = report_end(plan.folder)
        else:
            shutil.rmtree(plan.folder)
    if not plan.folder.exists():
        raise ConfigurationError("hydra/sweeper must propose at least one job, got none; give it values to try")
    return results, outcomes


class Batches:
    """The proposed jobs: sweep.json always lists all of them, and `outcomes` collects how they ended."""

    def __init__(self, sweep: Sweep, plan: SweepPlan, library: Library, outcomes: list[JobOutcome]) -> None:
        self.settings, self.plan, self.library, self.outcomes = sweep.settings, plan, library, outcomes
        overrides, _ = parse(sweep.for_sweeper, library)
        self._hydra = [each for each in overrides if each.is_hydra_override() and not is_of_sweeper(each)]
        self._single = {each.key_or_group for each in overrides if not each.is_sweep_override()}
        self._numbers: Numbers = {}

    def run(self, proposed: Sequence[Sequence[str]]) -> list[JobReturn]:
        """Check a batch of jobs, freeze them and run them; the result of each.

        Raises `ConfigurationError` with all problems of all jobs.
        """
        read = [parse(job, self.library) for job in proposed]
        jobs = [[for_hydra(each, self.library) for each in [*self._hydra, *job]] for job, _ in read]
        checked = check_jobs(jobs, self.library, [problem for _, problems in read for problem in problems])
        varied = [each.key_or_group for job, _ in read for each in job if each.key_or_group not in self._single]
        plan = replace(self.plan, varied=tuple(dict.fromkeys([*self.plan.varied, *varied])))
        self.plan = add_jobs(plan, checked, self._numbers)
        added = self.plan.jobs[len(plan.jobs) :]
        attempts = [JobAttempt(job) for job in added if job.same_as is None]
        sys.stdout.write(f"sweep     {plan.folder}: {plural(len(self.plan.jobs), 'job')}, {len(attempts)} to run\n")
        sys.stdout.flush()
        with view_of(self.plan, len(attempts)) as view:
            slots = self.settings.slots(len(attempts))
            self.outcomes += run_jobs(self.plan, attempts, self.settings, view, slots=slots)
        return list(map(self._returned, added, proposed))

    def _returned(self, job: PlannedJob, overrides: Sequence[str]) -> JobReturn:
        """The result of a job for the sweeper: the value of the objective, or an error."""
        first = job if job.same_as is None else self.plan.jobs[job.same_as]
        ended = SweepJob(first, RunFolder(self.plan.job_folder(first.number)))
        returned = JobReturn(overrides=list(overrides), working_dir=str(Path.cwd()), task_name="runner")
        if ended.status == "completed":
            objective = objective_of(self.plan.objective, self.plan.goal) or monitored([ended.run])
            returned.status, returned.return_value = JobStatus.COMPLETED, objective.value(ended.run)
        else:
            error = JobError(f"job {job.number} {ended.status}: {ended.error}")
            returned.status, returned.return_value = JobStatus.FAILED, error
        return returned


def _register_launcher() -> None:
    """Register the launcher. Hydra accepts only launchers of the package `hydra_plugins`, so ours is a part of it."""
    if str(our_plugins()) not in sys.path:
        sys.path.append(str(our_plugins()))
    Plugins.instance().register(import_module("hydra_plugins.keras_runner").ProcessLauncher)


def _multirun(overrides: Sequence[str], folder: Path, run_batch: RunBatch) -> None:
    """Run Hydra's multirun within `open_library`; errors of `run_batch` pass through."""
    _register_launcher()
    hydra: Any = GlobalHydra.instance().hydra
    ours = ["hydra.mode=MULTIRUN", "hydra/launcher=runner", f"hydra.sweep.dir={quoted(folder)}"]
    hydra.multirun(PRIMARY, run_batch, [*overrides, *ours])
