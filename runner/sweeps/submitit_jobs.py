"""`sweep.launcher=submitit`: jobs in the SLURM queue; the sweep's folder is one that all hosts share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runner.errors import RunnerError
from runner.sweeps.cluster import Orders, QueuedJob, attend
from runner.sweeps.process import Attempt, last_line_of
from runner.sweeps.settings import Submitit
from runner.sweeps.sweep_plan import SweepPlan

LOGS = "submitit"
"""The folder in the sweep's for submitit's own files and logs."""

ASK_SECONDS = 30.0
"""How often the queue is asked what became of jobs that say nothing."""

CLOSING_SECONDS = 10.0
"""How long processes of this host may take to end."""


def problem(settings: Submitit) -> str | None:
    """What submitit has against these settings; None where nothing."""
    try:
        with TemporaryDirectory() as folder:
            _executor(Path(folder), settings)
    except (NameError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        first = str(error).partition("\n")[0]
        return f"sweep.submitit must be what submitit can do here, got executor={settings.executor}: {first}"
    return None


class SubmititLauncher:
    """Submits jobs; the queue decides when and where they run."""

    def __init__(self, plan: SweepPlan, settings: Submitit, timeout_seconds: float | None) -> None:
        self.plan, self.orders = plan, Orders(plan, timeout_seconds)
        self.executor = _executor((plan.folder / LOGS).absolute(), settings)
        self.executor.update_parameters(name=f"sweep-{plan.folder.name}")
        self.is_local, self.jobs = settings.executor == "local", list[Any]()
        self.asked = time.monotonic()

    def start(self, attempt: Attempt, slot: int) -> QueuedJob:
        """Submit the job."""
        from submitit.core.utils import FailedJobError

        try:
            job = self.executor.submit(attend, self.orders.order(attempt))
        except FailedJobError as error:
            raise RunnerError(f"the queue refused job {attempt.number}; mend sweep.submitit: {error}") from error
        self.jobs.append(job)
        return QueuedJob(self.plan, attempt, _Submitted(job, self.is_to_be_asked))

    def is_to_be_asked(self) -> bool:
        """Whether it is time to ask the queue about its jobs, of all of them at once; submitit waits for 10 minutes."""
        due = time.monotonic() - self.asked > ASK_SECONDS
        if due:
            self.asked = time.monotonic()
        return due

    def close(self) -> None:
        """Wait for what submitit started on this host itself; a queue sees to its jobs, cancelled ones too."""
        limit = time.monotonic() + CLOSING_SECONDS
        while self.is_local and not all(job.done() for job in self.jobs) and time.monotonic() < limit:
            time.sleep(0.1)


class _Submitted:
    def __init__(self, job: Any, is_to_be_asked: Callable[[], bool]) -> None:
        self.job, self.is_to_be_asked = job, is_to_be_asked

    def fate(self) -> str | None:
        if not self.job.done(force_check=self.is_to_be_asked()):
            return None
        last = last_line_of(self.job.paths.stderr)
        return f"job {self.job.job_id} of the queue ended as {self.job.state}" + (f": {last}" if last else "")

    def cancel(self) -> None:
        self.job.cancel(check=False)


def _executor(folder: Path, settings: Submitit) -> Any:
    import submitit

    logging.getLogger("submitit").setLevel(logging.ERROR)
    executor = submitit.AutoExecutor(folder=folder, cluster=settings.executor)
    executor.update_parameters(**settings.parameters())
    return executor
