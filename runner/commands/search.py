"""A search: proposes trials, checks, freezes and runs them, and reports their values to the searcher."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

from runner.commands.prepare_sweep import Sweep
from runner.commands.search_space import SearchedOverrides, read_searched
from runner.commands.sweep_folder import begin_plan, identity, plan_job, report_end
from runner.config.files import open_library
from runner.config.jobs import prepare
from runner.errors import ConfigurationError
from runner.exit import complain
from runner.messages import plural
from runner.records.columns import Objective, monitored, objective_of
from runner.records.run_folder import RunFolder
from runner.settings import Settings
from runner.sweeps.process import JobAttempt, JobOutcome
from runner.sweeps.pruning import Pruner
from runner.sweeps.results import SweepJob
from runner.sweeps.results_table import unfinished_lines
from runner.sweeps.schedule import SweepObserver, never, run_jobs
from runner.sweeps.searchers import OptunaSearch, RandomSearch, Searcher
from runner.sweeps.settings import SweepSettings
from runner.sweeps.sweep_plan import PlannedJob, SearchPlan, SweepPlan, read_sweep
from runner.sweeps.view import view_of

TRIALS = 20

AT_ONCE = 10
"""Trials of Optuna that run at once on a cluster: Optuna draws the first ten at random in any case."""


def begin_search(sweep: Sweep, space: SearchedOverrides, folder: Path, argv: Sequence[str]) -> SweepPlan:
    """Write the plan of the search, without a trial."""
    settings = sweep.settings
    trials = settings.trials or TRIALS
    search = SearchPlan(settings.search or "random", trials, settings.seed, space.overrides, settings.prune)
    plan = begin_plan(sweep, folder, argv, search)
    plan.write()
    return plan


def run_search(plan: SweepPlan, search: SearchPlan, begun: Sequence[JobAttempt], settings: SweepSettings) -> int:
    """Run the trials that were begun, then new ones up to the number requested, and report the results; the exit code.

    A failed trial does not fail the search; a search without any value of its objective does.
    """
    count = len(begun) + max(0, search.trials - len(plan.jobs))
    slots = settings.slots(count if search.method == "random" else min(count, AT_ONCE))
    sys.stdout.write(f"search    {plan.folder}: {plural(search.trials, 'trial')} ({search.method}), {count} to run\n")
    sys.stdout.flush()
    try:
        with plan.running(), view_of(plan, count) as view:
            trials = Trials(read_sweep(plan.folder), search, view)
            try:
                should_prune = trials.should_prune if search.prune else never
                run_jobs(plan, trials.attempts(begun), settings, trials, slots=slots, should_prune=should_prune)
            finally:
                trials.close()
    finally:
        results = report_end(plan.folder)
    if results.best is None:
        complain(f"no trial has a value of {results.objective.key}", *unfinished_lines(results))
    else:
        sys.stdout.writelines(f"{line}\n" for line in unfinished_lines(results))
    return int(results.best is None)


class Trials:
    """The trials of a search: sweep.json always lists all of them, and the searcher knows their values."""

    def __init__(self, plan: SweepPlan, search: SearchPlan, view: SweepObserver) -> None:
        self.plan, self.search, self.view = plan, search, view
        with open_library() as library:
            self._space = read_searched(search.typed, library)
        self._searcher = self._open_searcher()
        self._pruner = Pruner(self._searcher, lambda run: self._objective([run]))
        self._numbers = {_identity_of(plan, job.number): job.number for job in plan.distinct if job.refused is None}
        for job in plan.jobs:
            self._settle(job)

    def attempts(self, begun: Sequence[JobAttempt]) -> Iterator[JobAttempt]:
        """The trials that were begun, then new ones, each proposed when it is needed."""
        yield from begun
        while len(self.plan.jobs) < self.search.trials:
            job = self._next()
            if job.refused is None and job.same_as is None:
                yield JobAttempt(job)

    def on_start(self, job: PlannedJob) -> None:
        """Show it."""
        self.view.on_start(job)

    def on_end(self, outcome: JobOutcome) -> None:
        """Show it, and learn from it."""
        self.view.on_end(outcome)
        for job in self.plan.jobs:
            if outcome.number in (job.number, job.same_as):
                self._settle(job)

    def on_tick(self) -> None:
        """Show it."""
        self.view.on_tick()

    def should_prune(self, job: PlannedJob) -> bool:
        """Whether a trial that runs promises too little; sweep.json says so before it is ended."""
        if self.plan.jobs[job.number].pruned is not None:
            return True
        why = self._pruner.reason(job.number, self._run(job.number))
        if why is not None:
            given_up = replace(job, pruned=why)
            jobs = (given_up if each.number == job.number else each for each in self.plan.jobs)
            self.plan = replace(self.plan, jobs=tuple(jobs))
            self.plan.write()
        return why is not None

    def close(self) -> None:
        """Close the storage of the searcher."""
        self._searcher.close()

    def _open_searcher(self) -> Searcher:
        if self.search.method == "random":
            return RandomSearch(self._space.ranges, self.search.seed)
        return OptunaSearch(self.plan.folder, self._space.ranges, self.search.seed, self._objective([]).goal)

    def _next(self) -> PlannedJob:
        """The next trial, checked, and frozen if it is to run."""
        number = len(self.plan.jobs)
        values = self._searcher.propose(number)
        overrides = self._space.with_values(values)
        try:
            job = plan_job(self.plan, number, prepare(overrides), self._numbers)
        except ConfigurationError as error:
            job = PlannedJob(number, overrides, dict(values), refused="; ".join(error.problems))
        self.plan = replace(self.plan, jobs=(*self.plan.jobs, job))
        self.plan.write()
        self._settle(job)
        return job

    def _settle(self, job: PlannedJob) -> None:
        """Report the value of a trial to the searcher, if it has ended for good."""
        first = job if job.same_as is None else self.plan.jobs[job.same_as]
        run = self._run(first.number)
        status = SweepJob(first, run).status
        if status not in ("completed", "pruned", "failed"):
            return
        if self.search.prune:
            self._pruner.report(job.number, run)
        value = self._objective([run]).value(run) if status == "completed" else None
        known = value if value is not None and isfinite(value) else None
        self._searcher.finish(job.number, known, pruned=status == "pruned")

    def _run(self, number: int) -> RunFolder:
        return RunFolder(self.plan.job_folder(number))

    def _objective(self, runs: Sequence[RunFolder]) -> Objective:
        return objective_of(self.plan.objective, self.plan.goal) or monitored(runs)


def _identity_of(plan: SweepPlan, number: int) -> str:
    return identity(Settings.model_validate_json(json.dumps(plan.config(number))))
