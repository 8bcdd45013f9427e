"""The trials of a search: each is one job, or one for each listed seed and fold, whose mean objective counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from math import isfinite
from statistics import fmean
from typing import Literal

from runner.records.columns import Objective
from runner.records.run_folder import RunFolder
from runner.sweeps.results import NOT_RUN, SweepJob, SweepResults
from runner.sweeps.sweep_plan import REPEATS, SweepPlan

TrialStatus = Literal["completed", "pruned", "failed", "unfinished"]


@dataclass(frozen=True)
class Trial:
    """The jobs of a trial in their order; in place of one that equals an earlier job, that job."""

    number: int
    jobs: tuple[SweepJob, ...]

    @cached_property
    def status(self) -> TrialStatus:
        """How the trial ended: as its worst job; `unfinished` while one is still to be run."""
        statuses = {job.status for job in self.jobs}
        if statuses & {"failed", NOT_RUN}:
            return "failed"
        if "pruned" in statuses:
            return "pruned"
        return "completed" if statuses == {"completed"} else "unfinished"

    @property
    def failed(self) -> SweepJob | None:
        """The first job that failed."""
        return next((job for job in self.jobs if job.status == "failed"), None)

    @property
    def left(self) -> list[int]:
        """The numbers of the jobs that have not ended for good."""
        ended = ("completed", "pruned", "failed", NOT_RUN)
        return [job.planned.number for job in self.jobs if job.status not in ended]

    def values(self, objective: Objective) -> list[float]:
        """The objective of the completed jobs that have one, up to the first job without."""
        completed = takewhile(lambda job: job.status == "completed", self.jobs)
        values = (objective.value(job.run) for job in completed)
        return [value for value in takewhile(_is_finite, values) if value is not None]

    def value(self, objective: Objective) -> float | None:
        """The mean objective of a completed trial; None if a job has none."""
        values = self.values(objective)
        return fmean(values) if self.status == "completed" and len(values) == len(self.jobs) else None

    @property
    def setting(self) -> str:
        """The varied keys that are the same in all its jobs, with their values."""
        return self.jobs[0].setting_without(REPEATS if len(self.jobs) > 1 else ())


def trial_of(plan: SweepPlan, number: int) -> Trial:
    """A trial of a search."""
    first = (job if job.same_as is None else plan.jobs[job.same_as] for job in plan.trial(number))
    return Trial(number, tuple(SweepJob(job, RunFolder(plan.job_folder(job.number))) for job in first))


def trials_of(results: SweepResults) -> list[Trial]:
    """The trials of a search, by number."""
    return [trial_of(results.plan, number) for number in range(results.plan.num_trials)]


def best_trial(results: SweepResults) -> Trial | None:
    """The completed trial of the best mean objective; None if there is none."""
    sign = -1 if results.objective.goal == "max" else 1
    pairs = [(trial, trial.value(results.objective)) for trial in trials_of(results)]
    known = [(sign * value, trial) for trial, value in pairs if value is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None


def _is_finite(value: float | None) -> bool:
    return value is not None and isfinite(value)
