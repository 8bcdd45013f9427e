"""Jobs on other hosts, which a scheduler such as SLURM or Ray starts.

The sweep hands a `QueuedJob` to the scheduler. Where and when the scheduler likes, `run_queued_job` runs it in a
`JobProcess`. Meanwhile a `ClusterJob` stands for it in the sweep. Both sides talk through a `Channel`: files in the
folder of the sweep, which all hosts share.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from runner.records.files import to_json, write_atomically
from runner.records.run_folder import mark_killed
from runner.sweeps import process
from runner.sweeps.process import SIGNALLED, JobAttempt, JobEnd, JobOutcome, JobProcess, StopCause, note
from runner.sweeps.sweep_plan import SweepPlan, begin_job, read_sweep

CHANNEL_SECONDS = 0.2
"""How often the host of a job looks for requests of the sweep."""

POLL_SECONDS = 0.5
"""How often the sweep reads the channel of each job and asks its scheduler."""

SETTLE_SECONDS = 10.0
"""How long the outcome of a job may take to become visible after its scheduler reports the end."""

KILLED, TERMINATED = SIGNALLED + signal.SIGKILL, SIGNALLED + signal.SIGTERM


@dataclass(frozen=True)
class QueuedJob:
    """Everything that another host needs to run a job; `owner`: the process of the sweep, as in sweep.json."""

    sweep: Path
    attempt: JobAttempt
    owner: Mapping[str, Any] | None
    working_directory: Path
    timeout_seconds: float | None
    command: tuple[str, ...]


class JobQueue:
    """Prepares the jobs of a running sweep for a scheduler."""

    def __init__(self, plan: SweepPlan, timeout_seconds: float | None) -> None:
        self.plan, self.timeout_seconds = plan, timeout_seconds
        self.owner = read_sweep(plan.folder).process

    def prepare(self, attempt: JobAttempt) -> QueuedJob:
        """Open the channel of a job and return what its host needs."""
        Channel(self.plan.folder, attempt.number).open()
        return QueuedJob(self.plan.folder, attempt, self.owner, Path.cwd(), self.timeout_seconds, process.COMMAND)


def run_queued_job(queued: QueuedJob) -> None:
    """Run a job in a new process of this host, in the working directory of the sweep, and write how it ended.

    Does nothing if the sweep has ended, or another process runs it by now.
    """
    os.chdir(queued.working_directory)
    plan, number = read_sweep(queued.sweep), queued.attempt.number
    channel = Channel(plan.folder, number)
    if plan.process != queued.owner or channel.has_request("end") or channel.outcome is not None:
        return
    channel.begin()
    job = JobProcess(plan, queued.attempt, timeout_seconds=queued.timeout_seconds, command=queued.command)
    try:
        channel.end(_wait(job, channel))
    except BaseException:  # the scheduler takes the host away: submitit and Ray each raise an exception of their own
        job.ask_to_end()
        channel.end(_wait(job, channel))
        raise
    finally:
        job.close()


def _wait(job: JobProcess, channel: Channel) -> JobOutcome:
    while (outcome := job.poll()) is None:
        if channel.has_request("kill"):
            job.kill()
        elif channel.has_request("prune"):
            job.ask_to_end("pruned")
        elif channel.has_request("end"):
            job.ask_to_end()
        time.sleep(CHANNEL_SECONDS)
    return outcome


class QueueEntry(Protocol):
    """A job as its scheduler knows it."""

    def end_state(self) -> str | None:
        """How the job ended, in the words of the scheduler; None while it waits or runs."""

    def cancel(self) -> None:
        """Take the job out of the queue, or end it on its host."""


class ClusterJob:
    """A job in a queue or on another host.

    Its channel says how it goes. Its scheduler is asked only about a job that ended without an outcome.
    """

    def __init__(self, plan: SweepPlan, attempt: JobAttempt, entry: QueueEntry) -> None:
        self.plan, self.planned, self.entry = plan, attempt.job, entry
        self._resume = attempt.resume
        self._channel = Channel(plan.folder, attempt.number)
        self._queued = self._polled = time.monotonic()
        self._reported_over: float | None = None
        self._ended = False

    @property
    def has_begun(self) -> bool:
        """Whether the job runs on a host, or did."""
        return self._channel.has_begun

    def poll(self) -> JobOutcome | None:
        """Return how the job ended, or None while it waits or runs."""
        if time.monotonic() - self._polled < POLL_SECONDS:
            return None
        self._polled = time.monotonic()
        outcome = self._channel.outcome or self._withdrawn() or self._lost()
        if outcome is not None:
            self._ended = True
            mark_killed(self.plan.job_folder(self.planned.number))
        return outcome

    def ask_to_end(self, cause: StopCause = "interrupted") -> None:
        """Ask the job to finish its step, write its state and end; a waiting job leaves its queue."""
        if not (self._channel.has_request("end") or self._channel.has_request("prune")):
            self._channel.request("prune" if cause == "pruned" else "end")
            if not self.has_begun:
                self.entry.cancel()

    def close(self) -> None:
        """Kill the job, wherever it is."""
        if not self._ended:
            self._channel.request("kill")
            self.entry.cancel()

    def _withdrawn(self) -> JobOutcome | None:
        if self._channel.has_request("end") and not self.has_begun:
            return JobOutcome(self.planned.number, "interrupted", TERMINATED, 0.0)
        return None

    def _lost(self) -> JobOutcome | None:
        """The outcome of a job that ended without writing one, as far as its scheduler knows."""
        state = self.entry.end_state()
        if state is None:
            return None
        self._reported_over = self._reported_over or time.monotonic()
        self._channel.refresh()
        if time.monotonic() - self._reported_over < SETTLE_SECONDS:
            return None
        folder = self.plan.job_folder(self.planned.number)
        if not folder.exists() or not (self.has_begun or self._resume):
            folder = begin_job(self.plan, self.planned.number)
        note(folder, state)
        return JobOutcome(self.planned.number, self._end(), KILLED, time.monotonic() - self._queued)

    def _end(self) -> JobEnd:
        if self._channel.has_request("prune"):
            return "pruned"
        return "interrupted" if self._channel.has_request("end") else "killed"


LAUNCHED = "launched"
"""The folder of a sweep that holds the channels of its jobs."""

BEGUN = "begun"
ENDED = "ended.json"
StopRequest = Literal["end", "prune", "kill"]


class Channel:
    """The files of one job: its host writes that the job has begun and how it ended, the sweep writes its requests."""

    def __init__(self, sweep: Path, number: int) -> None:
        self.folder = sweep / LAUNCHED / str(number)

    def open(self) -> None:
        """Make an empty channel, without the files of an earlier attempt."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def begin(self) -> None:
        """Write that the job runs."""
        (self.folder / BEGUN).touch()

    @property
    def has_begun(self) -> bool:
        """Whether the job runs or has ended."""
        return (self.folder / BEGUN).exists()

    def request(self, request: StopRequest) -> None:
        """Request that the job ends after its step, is pruned after its step, or is killed."""
        (self.folder / request).touch()

    def has_request(self, request: StopRequest) -> bool:
        """Whether the sweep has made this request."""
        return (self.folder / request).exists()

    def refresh(self) -> None:
        """Make a network file system look again: it may remember for a while that a file does not exist."""
        self.folder.chmod(self.folder.stat().st_mode)

    def end(self, outcome: JobOutcome) -> None:
        """Write how the job ended; only the first outcome counts."""
        if self.outcome is None:
            write_atomically(self.folder / ENDED, to_json(asdict(outcome)))

    @property
    def outcome(self) -> JobOutcome | None:
        """How the job ended; None until that is known."""
        try:
            return JobOutcome(**json.loads((self.folder / ENDED).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
