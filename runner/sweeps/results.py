"""The results of a sweep, read from the records of its jobs, whether or not it completed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.messages import did_you_mean
from runner.records.columns import COLUMNS, Objective, in_unit, monitored, objective_of
from runner.records.metrics import EPOCH, FACTS
from runner.records.output import csv_text
from runner.records.run_folder import UNRECORDED, RunFolder
from runner.records.secret_keys import masked
from runner.sweeps.process import MARK, STOPPED_WITH_SWEEP, last_line
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan, read_sweep

NOT_RUN = "not run"
"""The status of a job that equals another one, or whose trial failed before it began."""


@dataclass(frozen=True)
class SweepJob:
    """A planned job and its run."""

    planned: PlannedJob
    run: RunFolder

    @property
    def setting(self) -> str:
        """The varied keys that have an effect, with their values, on one line."""
        return self.setting_without(())

    @property
    def short_setting(self) -> str:
        """The same with four significant digits, as tables show them."""
        return self.setting_without((), lambda value: f"{value:.4g}" if isinstance(value, float) else csv_text(value))

    def setting_without(self, keys: Container[str], text_of: Callable[[Any], str] = csv_text) -> str:
        """The same without these keys."""
        varied = self.planned.varied.items()
        return ", ".join(f"{key}={text_of(value)}" for key, value in varied if value is not None and key not in keys)

    @cached_property
    def status(self) -> str:
        """The status of the run; `waiting` if the job was not started, `pruned` if its trial was pruned, or `not run`.

        A job that ended before it had a record is `interrupted` if the sweep stopped it, else `failed`. A trial that
        the schema refused is `failed`, too.
        """
        if self.planned.refused is not None:
            return "failed"
        if self.run.status not in ("completed", "failed", "running"):
            if self.planned.pruned is not None:
                return "pruned"
            if self.planned.skipped is not None:
                return NOT_RUN
        if not self.run.path.exists():
            return "waiting"
        if self.run.status != UNRECORDED or not self._last_line:
            return self.run.status
        return "interrupted" if self._last_line == f"{MARK}{STOPPED_WITH_SWEEP}" else "failed"

    @cached_property
    def error(self) -> str | None:
        """What went wrong, or why the job was pruned, on one line; None if nothing did or the cause is unknown."""
        text: str | None = masked(self._error, self.run.secrets)
        return text

    @property
    def _error(self) -> str | None:
        if self.planned.refused is not None:
            return self.planned.refused
        if self.status in ("pruned", NOT_RUN):
            return self.planned.pruned or self.planned.skipped
        if self.status in ("completed", "waiting", "running"):
            return None
        last = self._last_line or ""
        error = self.run.document.get("error") or {}
        message = str(error.get("message") or "").partition("\n")[0]
        if last.startswith(MARK):
            return last.removeprefix(MARK)
        return f"{error['type']}: {message}".removesuffix(": ") if error else last or None

    @cached_property
    def _last_line(self) -> str | None:
        return last_line(self.run.path)


@dataclass(frozen=True)
class SweepResults:
    """The distinct jobs of a sweep, best first; files are read when they are needed."""

    plan: SweepPlan

    @cached_property
    def jobs(self) -> list[SweepJob]:
        """The completed jobs, best first, then the others: a failed job never ranks above a completed one."""
        planned = {job.number: job for job in self.plan.distinct}
        runs = {number: RunFolder(self.plan.job_folder(number)) for number in planned}
        jobs = [SweepJob(planned[number], run) for number, run in runs.items()]
        return sorted(jobs, key=lambda job: (job.status != "completed", *self.objective.rank(job.run)))

    @cached_property
    def objective(self) -> Objective:
        """The objective of the sweep, or else what training monitored."""
        runs = [RunFolder(self.plan.job_folder(job.number)) for job in self.plan.distinct]
        return objective_of(self.plan.objective, self.plan.goal) or monitored(runs)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The keys that have a column: the objective, what training monitored, evaluations, the speed of the loader."""
        runs = [job.run for job in self.jobs]
        measured = (column.key for column in COLUMNS)
        wanted = [self.objective.key, monitored(runs).key, *_evaluated(runs), *measured]
        return tuple(key for key in dict.fromkeys(wanted) if any(run.value(key) is not None for run in runs))

    def objective_problem(self) -> str:
        """The end of a message that no job has the objective: the names that a job has, and the closest."""
        runs = [job.run for job in self.jobs if job.status == "completed"][:1]
        figures = [name for run in runs for row in run.metrics[:1] for name in row if name not in (EPOCH, *FACTS)]
        names = list(dict.fromkeys([*figures, *_evaluated(runs), *(column.key for column in COLUMNS)]))
        if not runs or self.objective.key in names:  # which is no number, as after training that diverged
            return ""
        return f"; a job has {', '.join(names)}{did_you_mean(self.objective.key, names)}"

    @cached_property
    def best(self) -> SweepJob | None:
        """The best completed job; None if none has the objective, or if a trial of several jobs would be the best."""
        first = self.jobs[0] if self.jobs else None
        is_best = first is not None and first.status == "completed" and not self.objective.rank(first.run)[0]
        return first if is_best and self.plan.members == 1 else None

    @property
    def repeated(self) -> tuple[PlannedJob, ...]:
        """The jobs that equal others, and were not run."""
        return tuple(job for job in self.plan.jobs if job.same_as is not None)

    def status_counts(self) -> dict[str, int]:
        """The number of jobs with each status."""
        statuses = [job.status for job in self.jobs]
        return {status: statuses.count(status) for status in sorted(set(statuses))}

    def status_text(self) -> str:
        """The number of jobs with each status, as text."""
        none = f"no {'job' if self.plan.search is None else 'trial'} was started"
        return ", ".join(f"{count} {status}" for status, count in self.status_counts().items()) or none

    def values(self, job: SweepJob) -> list[Any]:
        """The value of a job in each of `columns`."""
        return [self.value(job, key) for key in self.columns]

    def value(self, job: SweepJob, key: str) -> Any:
        """The value of a job in a column; that of the objective by its goal."""
        return job.run.value(key, self.objective.goal if key == self.objective.key else None)

    def displayed(self, job: SweepJob) -> list[Any]:
        """The same values in the units of the column titles."""
        return list(map(in_unit, self.columns, self.values(job)))


def read_results(folder: Path) -> SweepResults:
    """The results of the sweep in `folder`, without secrets.

    Raises `ConfigurationError` if the folder holds no sweep.
    """
    return SweepResults(read_sweep(folder).masked())


def _evaluated(runs: list[RunFolder]) -> Iterator[str]:
    for run in runs:
        results = (run.document.get("results") or {}).get("evaluate") or {}
        yield from (f"evaluate.{key}" for key, value in results.items() if isinstance(value, float))
