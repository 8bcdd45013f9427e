"""`sweep.launcher=submitit`: jobs in a SLURM queue. All hosts must share the folder of the sweep."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runner.errors import RunnerError
from runner.sweeps.cluster import ClusterJob, JobQueue, run_queued_job
from runner.sweeps.process import JobAttempt, last_line_of
from runner.sweeps.settings import Submitit
from runner.sweeps.sweep_plan import SweepPlan

LOGS = "submitit"
"""The folder of a sweep that holds submitit's files and logs."""

QUERY_SECONDS = 30.0
"""How often to ask the queue about jobs that wrote no outcome; submitit itself waits up to 10 minutes."""

CLOSING_SECONDS = 10.0
"""How long processes of this host may take to end."""


def submitit_problem(settings: Submitit) -> str | None:
    """The reason why submitit cannot work with these settings on this host; None if it can."""
    try:
        with TemporaryDirectory() as folder:
            _executor(Path(folder), settings)
    except (NameError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        return (
            f"sweep.submitit must be settings that submitit accepts on this host, got "
            f"executor={settings.executor}: {reason}"
        )
    return None


class SubmititLauncher:
    """Submits jobs; the queue decides when and where they run."""

    def __init__(self, plan: SweepPlan, settings: Submitit, timeout_seconds: float | None) -> None:
        self.plan, self.queue = plan, JobQueue(plan, timeout_seconds)
        self.executor = _executor((plan.folder / LOGS).absolute(), settings)
        self.executor.update_parameters(name=f"sweep-{plan.folder.name}")
        self.is_local, self.jobs = settings.executor == "local", list[Any]()
        self.queried = time.monotonic()

    def start(self, attempt: JobAttempt, slot: int) -> ClusterJob:
        """Submit the job."""
        from submitit.core.utils import FailedJobError

        try:
            job = self.executor.submit(run_queued_job, self.queue.prepare(attempt))
        except FailedJobError as error:
            raise RunnerError(f"the queue refused job {attempt.number}; fix sweep.submitit: {error}") from error
        self.jobs.append(job)
        return ClusterJob(self.plan, attempt, _SubmititEntry(job, self.should_query))

    def should_query(self) -> bool:
        """Whether it is time to ask the queue again; one query covers all jobs."""
        due = time.monotonic() - self.queried > QUERY_SECONDS
        if due:
            self.queried = time.monotonic()
        return due

    def close(self) -> None:
        """Wait for the processes that submitit started on this host; a SLURM queue ends its own jobs."""
        limit = time.monotonic() + CLOSING_SECONDS
        while self.is_local and not all(job.done() for job in self.jobs) and time.monotonic() < limit:
            time.sleep(0.1)


class _SubmititEntry:
    def __init__(self, job: Any, should_query: Callable[[], bool]) -> None:
        self.job, self.should_query = job, should_query

    def end_state(self) -> str | None:
        if not self.job.done(force_check=self.should_query()):
            return None
        last = last_line_of(self.job.paths.stderr)
        return f"queue job {self.job.job_id} ended as {self.job.state}" + (f": {last}" if last else "")

    def cancel(self) -> None:
        self.job.cancel(check=False)


def _executor(folder: Path, settings: Submitit) -> Any:
    import submitit

    logging.getLogger("submitit").setLevel(logging.ERROR)
    executor = submitit.AutoExecutor(folder=folder, cluster=settings.executor)
    executor.update_parameters(**settings.parameters())
    return executor
