"""A sweep as the records of its jobs tell it, whatever became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.records.columns import FIGURES, Objective, in_unit, monitored, objective_of
from runner.records.output import plain
from runner.records.run_folder import UNRECORDED, RunFolder
from runner.sweeps.process import MARK, WITH_THE_SWEEP, last_line
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan, read_sweep


@dataclass(frozen=True)
class SweepJob:
    """A job as it was planned, and its run."""

    planned: PlannedJob
    run: RunFolder

    @property
    def setting(self) -> str:
        """The varied keys that have an effect, and their values, in one line."""
        varied = self.planned.varied.items()
        return ", ".join(f"{key}={plain(value)}" for key, value in varied if value is not None)

    @cached_property
    def status(self) -> str:
        """As the run's; `waiting` where it was not started, `pruned` where it was ended for promising too little.

        Where it ended before it had a record: `interrupted` with the sweep, else `failed`, as one that was refused.
        """
        if self.planned.refused is not None:
            return "failed"
        if self.planned.pruned is not None and self.run.status not in ("completed", "failed", "running"):
            return "pruned"
        if not self.run.path.exists():
            return "waiting"
        if self.run.status != UNRECORDED or not self._last_line:
            return self.run.status
        return "interrupted" if self._last_line == f"{MARK}{WITH_THE_SWEEP}" else "failed"

    @cached_property
    def error(self) -> str | None:
        """What went wrong, or why it was given up, in one line; None where nothing did, or nobody knows."""
        if self.planned.refused is not None:
            return self.planned.refused
        if self.status == "pruned":
            return self.planned.pruned
        if self.status in ("completed", "waiting", "running"):
            return None
        told = self._last_line or ""
        error = self.run.document.get("error") or {}
        message = str(error.get("message") or "").partition("\n")[0]
        if told.startswith(MARK):
            return told.removeprefix(MARK)
        return f"{error['type']}: {message}".removesuffix(": ") if error else told or None

    @cached_property
    def _last_line(self) -> str | None:
        return last_line(self.run.path)


@dataclass(frozen=True)
class SweepResults:
    """The jobs of a sweep that were to be run, best first; files are read when they are asked for."""

    plan: SweepPlan

    @cached_property
    def jobs(self) -> list[SweepJob]:
        """The completed ones, best first, then the others likewise: a good value is no merit of a job that failed."""
        planned = {job.number: job for job in self.plan.distinct}
        runs = {number: RunFolder(self.plan.job_folder(number)) for number in planned}
        jobs = [SweepJob(planned[number], run) for number, run in runs.items()]
        return sorted(jobs, key=lambda job: (job.status != "completed", *self.objective.rank(job.run)))

    @cached_property
    def objective(self) -> Objective:
        """What was asked for, or what training monitored."""
        runs = [RunFolder(self.plan.job_folder(job.number)) for job in self.plan.distinct]
        return objective_of(self.plan.objective, self.plan.goal) or monitored(runs)

    @cached_property
    def figures(self) -> tuple[str, ...]:
        """The keys of numbers worth a column: the objective, what training monitored, results, the loader's figures."""
        runs = [job.run for job in self.jobs]
        figures = (figure.key for figure in FIGURES)
        wanted = [self.objective.key, monitored(runs).key, *_evaluated(runs), *figures]
        return tuple(key for key in dict.fromkeys(wanted) if any(run.value(key) is not None for run in runs))

    @cached_property
    def best(self) -> SweepJob | None:
        """The completed job that comes first; None where none came to a number."""
        first = self.jobs[0] if self.jobs else None
        is_best = first is not None and first.status == "completed" and not self.objective.rank(first.run)[0]
        return first if is_best else None

    @property
    def repeated(self) -> tuple[PlannedJob, ...]:
        """The jobs that equal others, and were not run."""
        return tuple(job for job in self.plan.jobs if job.same_as is not None)

    def counts(self) -> dict[str, int]:
        """How many jobs have each status."""
        statuses = [job.status for job in self.jobs]
        return {status: statuses.count(status) for status in sorted(set(statuses))}

    def told_counts(self) -> str:
        """The same in words."""
        none = f"no {'job' if self.plan.search is None else 'trial'} was begun"
        return ", ".join(f"{count} {status}" for status, count in self.counts().items()) or none

    def values(self, job: SweepJob) -> list[Any]:
        """What a job has under each of `figures`."""
        return [job.run.value(key) for key in self.figures]

    def shown(self, job: SweepJob) -> list[Any]:
        """The same in the units of the columns' titles."""
        return list(map(in_unit, self.figures, self.values(job)))


def read_results(folder: Path) -> SweepResults:
    """The results of the sweep in `folder`.

    Raises `ConfigurationError` where that is no sweep.
    """
    return SweepResults(read_sweep(folder))


def _evaluated(runs: list[RunFolder]) -> Iterator[str]:
    for run in runs:
        results = (run.document.get("results") or {}).get("evaluate") or {}
        yield from (f"evaluate.{key}" for key, value in results.items() if isinstance(value, float))
