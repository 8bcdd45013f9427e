"""A search: proposes trials, checks, freezes and runs them, and reports their values to the searcher."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.commands.prepare_sweep import Sweep
from runner.commands.search_space import SearchedOverrides, read_searched
from runner.commands.sweep_folder import begin_plan, identity, live_page, plan_job, report_end
from runner.config.files import open_library
from runner.config.jobs import prepare
from runner.errors import ConfigurationError
from runner.exit import complain
from runner.messages import plural
from runner.records.columns import Objective, monitored, objective_of
from runner.records.run_folder import RunFolder
from runner.settings import Settings
from runner.sweeps.process import JobAttempt, JobOutcome
from runner.sweeps.pruning import MeanPruner, Pruner
from runner.sweeps.results_table import unfinished_lines
from runner.sweeps.schedule import SweepObserver, never, run_jobs
from runner.sweeps.searchers import OptunaSearch, RandomSearch, Searcher, TrialValues
from runner.sweeps.settings import SweepSettings
from runner.sweeps.sweep_plan import PlannedJob, SearchPlan, SweepPlan, read_sweep
from runner.sweeps.trials import Trial, best_trial, trial_of
from runner.sweeps.view import view_of

TRIALS = 20

AT_ONCE = 10
"""Jobs of Optuna's trials that run at once on a cluster: Optuna draws the first ten at random in any case."""


def begin_search(sweep: Sweep, space: SearchedOverrides, folder: Path, argv: Sequence[str]) -> SweepPlan:
    """Write the plan of the search, without a trial."""
    settings = sweep.settings
    trials = settings.trials or TRIALS
    search = SearchPlan(
        settings.search or "random", trials, settings.seed, space.overrides, settings.prune, len(space.members)
    )
    plan = begin_plan(sweep, folder, argv, search)
    plan.write()
    return plan


def run_search(plan: SweepPlan, search: SearchPlan, begun: Sequence[JobAttempt], settings: SweepSettings) -> int:
    """Run the trials that were begun, then new ones up to the number requested, and report the results; the exit code.

    A failed trial does not fail the search; a search without any value of its objective does.
    """
    count = len(begun) + max(0, search.trials - plan.num_trials) * search.members
    slots = settings.slots(count if search.method == "random" else min(count, AT_ONCE))
    trials_text = plural(search.trials, "trial") + (f" of {search.members} jobs" if search.members > 1 else "")
    sys.stdout.write(f"search    {plan.folder}: {trials_text} ({search.method}), {count} to run\n")
    sys.stdout.flush()
    try:
        with plan.running(), live_page(plan.folder), view_of(plan, count) as view:
            trials = Trials(read_sweep(plan.folder), search, view)
            try:
                should_prune = trials.should_prune if search.prune else never
                run_jobs(plan, trials.attempts(begun), settings, trials, slots=slots, should_prune=should_prune)
            finally:
                trials.close()
    finally:
        results = report_end(plan.folder)
    is_lost = best_trial(results) is None
    if is_lost:
        problem = f"no trial has a value of {results.objective.key}{results.objective_problem()}"
        complain(problem, *unfinished_lines(results))
    else:
        sys.stdout.writelines(f"{line}\n" for line in unfinished_lines(results))
    return int(is_lost)


class Trials:
    """The trials of a search: sweep.json always lists all of them, and the searcher knows their values."""

    def __init__(self, plan: SweepPlan, search: SearchPlan, view: SweepObserver) -> None:
        self.plan, self.search, self.view = plan, search, view
        with open_library() as library:
            self._space = read_searched(search.typed, library, search.members)
        self._searcher = self._open_searcher()
        self._pruner = Pruner(self._searcher, lambda run: self._objective([run]))
        self._mean_pruner = MeanPruner(self._searcher)
        self._has_objective: bool | None = None
        self._numbers = {_identity_of(plan, job.number): job.number for job in plan.jobs if job.is_frozen}
        for number in range(plan.num_trials):
            self._settle(number)

    def attempts(self, begun: Sequence[JobAttempt]) -> Iterator[JobAttempt]:
        """The jobs of trials that were begun, then of new ones, each proposed when it is needed.

        What a trial has come to is looked up before each of its jobs. None is proposed once the first that completed
        turns out to lack the objective, as all would.
        """
        yield from (attempt for attempt in begun if self._is_to_run(attempt.number))
        while self.plan.num_trials < self.search.trials and self._has_objective is not False:
            for job in self._next():
                if self._is_to_run(job.number):
                    yield JobAttempt(job)

    def on_start(self, job: PlannedJob) -> None:
        """Show it."""
        self.view.on_start(job)

    def on_end(self, outcome: JobOutcome) -> None:
        """Show it, and learn from it."""
        self.view.on_end(outcome)
        ended = [job.number for job in self.plan.jobs if outcome.number in (job.number, job.same_as)]
        for number in dict.fromkeys(each // self.search.members for each in ended):
            self._settle(number)

    def on_tick(self) -> None:
        """Show it."""
        self.view.on_tick()

    def should_prune(self, job: PlannedJob) -> bool:
        """Whether a trial that runs promises too little; sweep.json says so before it is ended."""
        if self.plan.jobs[job.number].pruned is not None:
            return True
        if self.search.members > 1:  # decided when one of its jobs has ended
            return False
        why = self._pruner.reason(job.number, self._run(job.number))
        if why is not None:
            self._change([job.number], pruned=why)
        return why is not None

    def close(self) -> None:
        """Close the storage of the searcher."""
        self._searcher.close()

    def _open_searcher(self) -> Searcher:
        if self.search.method == "random":
            return RandomSearch(self._space.ranges, self.search.seed)
        return OptunaSearch(self.plan.folder, self._space.ranges, self.search.seed, self._objective([]).goal)

    def _next(self) -> tuple[PlannedJob, ...]:
        """The jobs of the next trial, checked, and frozen if they are to run."""
        number, first = self.plan.num_trials, len(self.plan.jobs)
        values = self._searcher.propose(number)
        jobs: list[PlannedJob] = []
        for at, member in enumerate(self._space.members, first):
            jobs.append(self._planned(at, values | member))
            if jobs[-1].refused is not None:
                break
        why = f"job {first + len(jobs) - 1} of its trial was refused"
        for at in range(first + len(jobs), first + self.search.members):
            left = values | self._space.members[at - first]
            jobs.append(PlannedJob(at, self._space.with_values(left), dict(left), skipped=why))
        self.plan = replace(self.plan, jobs=(*self.plan.jobs, *jobs))
        self.plan.write()
        self._settle(number)
        return self.plan.trial(number)

    def _planned(self, number: int, values: TrialValues) -> PlannedJob:
        overrides = self._space.with_values(values)
        try:
            return plan_job(self.plan, number, prepare(overrides), self._numbers)
        except ConfigurationError as error:
            return PlannedJob(number, overrides, dict(values), refused="; ".join(error.problems))

    def _is_to_run(self, number: int) -> bool:
        job = self.plan.jobs[number]
        return job.is_frozen and job.pruned is None

    def _settle(self, number: int) -> None:
        """Report the value of a trial to the searcher, if it has ended for good; give up jobs that it does not need."""
        trial = trial_of(self.plan, number)
        objective = self._objective([job.run for job in trial.jobs])
        if self.search.prune:
            trial = self._report(trial, objective)
        if trial.failed is not None:
            self._give_up(trial, skipped=f"job {trial.failed.planned.number} of its trial failed")
        if trial.status == "completed" and not self._has_objective:
            self._has_objective = any(objective.value(job.run) is not None for job in trial.jobs)
        if trial.status != "unfinished":
            self._searcher.finish(number, trial.value(objective), pruned=trial.status == "pruned")

    def _report(self, trial: Trial, objective: Objective) -> Trial:
        """Report what is known of a trial, which may be pruned for it."""
        if self.search.members == 1:
            if trial.status != "unfinished":
                self._pruner.report(trial.number, trial.jobs[0].run)
            return trial
        why = self._mean_pruner.reason(trial, objective)
        if why is None or trial.status != "unfinished":
            return trial
        self._give_up(trial, pruned=why)
        return trial_of(self.plan, trial.number)

    def _give_up(self, trial: Trial, **why: str) -> None:
        """Give up the jobs of a trial that have not ended for good; sweep.json says why."""
        if trial.left:
            self._change(trial.left, **why)

    def _change(self, numbers: Collection[int], **changes: Any) -> None:
        jobs = (replace(job, **changes) if job.number in numbers else job for job in self.plan.jobs)
        self.plan = replace(self.plan, jobs=tuple(jobs))
        self.plan.write()

    def _run(self, number: int) -> RunFolder:
        return RunFolder(self.plan.job_folder(number))

    def _objective(self, runs: Sequence[RunFolder]) -> Objective:
        return objective_of(self.plan.objective, self.plan.goal) or monitored(runs)


def _identity_of(plan: SweepPlan, number: int) -> str:
    return identity(Settings.model_validate_json(json.dumps(plan.config(number))))
