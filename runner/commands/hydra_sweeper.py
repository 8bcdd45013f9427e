"""A sweep whose jobs a sweeper of Hydra's proposes, `hydra/sweeper=NAME`, from beginning to end."""

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
from runner.commands.sweep_folder import Numbers, add_jobs, begin_plan, tell_end
from runner.config.files import PRIMARY, Library, open_library, our_plugins
from runner.config.jobs import check_jobs
from runner.config.launch import quoted
from runner.config.overrides import for_hydra, is_of_sweeper, parse
from runner.errors import ConfigurationError, JobError
from runner.records.columns import monitored, objective_of
from runner.records.folder import new_sweep_folder
from runner.records.run_folder import RunFolder
from runner.sweeps.process import JobAttempt, JobOutcome
from runner.sweeps.results import SweepJob, SweepResults
from runner.sweeps.schedule import run_jobs
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan, read_sweep
from runner.sweeps.view import view_of

RunBatch = Callable[[Sequence[Sequence[str]]], list[JobReturn]]
"""Runs jobs, each given by its overrides, and says what came of each."""


def run_by_sweeper(sweep: Sweep, argv: Sequence[str]) -> tuple[SweepResults, list[JobOutcome]]:
    """Let Hydra's sweeper propose jobs until it is content, or one of them failed and it bears no failure.

    Raises `ConfigurationError` where the sweeper, or a job it proposes, cannot be run; of a sweep that came to no job
    nothing is left.
    """
    plan = begin_plan(sweep, new_sweep_folder(), argv)
    outcomes: list[JobOutcome] = []
    try:
        with plan.running(), open_library() as library:
            batches = Batches(sweep, read_sweep(plan.folder), library, outcomes)
            _multirun(sweep.for_sweeper, plan.folder, batches.run)
    except JobError:
        pass  # it is told with the others
    except HydraException as error:
        raise ConfigurationError(" ".join(str(error).split())) from error
    finally:
        if read_sweep(plan.folder).jobs:
            results = tell_end(plan.folder)
        else:
            shutil.rmtree(plan.folder)
    if not plan.folder.exists():
        raise ConfigurationError("hydra/sweeper must propose a job, got none; give it values to try")
    return results, outcomes


class Batches:
    """The jobs that were proposed: sweep.json always holds those there are; how they ended is added to `outcomes`."""

    def __init__(self, sweep: Sweep, plan: SweepPlan, library: Library, outcomes: list[JobOutcome]) -> None:
        self.settings, self.plan, self.library, self.outcomes = sweep.settings, plan, library, outcomes
        typed, _ = parse(sweep.for_sweeper, library)
        self._hydra = [each for each in typed if each.is_hydra_override() and not is_of_sweeper(each)]
        self._single = {each.key_or_group for each in typed if not each.is_sweep_override()}
        self._numbers: Numbers = {}

    def run(self, proposed: Sequence[Sequence[str]]) -> list[JobReturn]:
        """Check a batch of jobs, all at once, freeze them and run them; what came of each.

        Raises `ConfigurationError` with every problem of every job.
        """
        read = [parse(job, self.library) for job in proposed]
        jobs = [[for_hydra(each, self.library) for each in [*self._hydra, *job]] for job, _ in read]
        checked = check_jobs(jobs, self.library, [problem for _, problems in read for problem in problems])
        varied = [each.key_or_group for job, _ in read for each in job if each.key_or_group not in self._single]
        plan = replace(self.plan, varied=tuple(dict.fromkeys([*self.plan.varied, *varied])))
        self.plan = add_jobs(plan, checked, self._numbers)
        added = self.plan.jobs[len(plan.jobs) :]
        attempts = [JobAttempt(job) for job in added if job.same_as is None]
        sys.stdout.write(f"sweep     {plan.folder}: {len(self.plan.jobs)} jobs, {len(attempts)} to run\n")
        sys.stdout.flush()
        with view_of(self.plan, len(attempts)) as view:
            slots = self.settings.slots(len(attempts))
            self.outcomes += run_jobs(self.plan, attempts, self.settings, view, slots=slots)
        return list(map(self._returned, added, proposed))

    def _returned(self, job: PlannedJob, overrides: Sequence[str]) -> JobReturn:
        """What a sweeper is told of a job: the value of the objective, or why there is none."""
        first = job if job.same_as is None else self.plan.jobs[job.same_as]
        ended = SweepJob(first, RunFolder(self.plan.job_folder(first.number)))
        told = JobReturn(overrides=list(overrides), working_dir=str(Path.cwd()), task_name="runner")
        if ended.status == "completed":
            objective = objective_of(self.plan.objective, self.plan.goal) or monitored([ended.run])
            told.status, told.return_value = JobStatus.COMPLETED, objective.value(ended.run)
        else:
            why = JobError(f"job {job.number} {ended.status}: {ended.error}")
            told.status, told.return_value = JobStatus.FAILED, why
        return told


def _register_launcher() -> None:
    """Hydra makes launchers of the package `hydra_plugins` alone; a part of that package is ours."""
    if str(our_plugins()) not in sys.path:
        sys.path.append(str(our_plugins()))
    Plugins.instance().register(import_module("hydra_plugins.keras_runner").ProcessLauncher)


def _multirun(overrides: Sequence[str], folder: Path, run_batch: RunBatch) -> None:
    """Run Hydra's multirun in `open_library`; what `run_batch` raises is raised."""
    _register_launcher()
    hydra: Any = GlobalHydra.instance().hydra
    ours = ["hydra.mode=MULTIRUN", "hydra/launcher=runner", f"hydra.sweep.dir={quoted(folder)}"]
    hydra.multirun(PRIMARY, run_batch, [*overrides, *ours])
