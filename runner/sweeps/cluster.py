"""A job that a scheduler was given, as the sweep sees it from afar.

How a sweep and one of its jobs on another host speak: by files in the sweep's folder, which both see.

What a scheduler runs on the host it has chosen: the process of one job, attended to until it ends.
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
from runner.sweeps.process import SIGNALLED, Attempt, Cause, Ended, JobProcess, Outcome, note
from runner.sweeps.sweep_plan import SweepPlan, begin_job, read_sweep

LAUNCHED = "launched"
"""The folder with a folder per job that was given to a scheduler."""

BEGUN = "begun"
ENDED = "ended.json"
Request = Literal["end", "prune", "kill"]


class Channel:
    """The files of one job: the host it runs on writes that it has begun and how it ended, the sweep what it wants."""

    def __init__(self, sweep: Path, number: int) -> None:
        self.folder = sweep / LAUNCHED / str(number)

    def open(self) -> None:
        """Begin anew, without what an earlier attempt left."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def begin(self) -> None:
        """The job runs from now on."""
        (self.folder / BEGUN).touch()

    @property
    def has_begun(self) -> bool:
        """Whether the job runs, or has run."""
        return (self.folder / BEGUN).exists()

    def ask(self, request: Request) -> None:
        """Want the job to end after its step, with the sweep or because it is given up, or at once."""
        (self.folder / request).touch()

    def asked(self, request: Request) -> bool:
        """Whether that is wanted."""
        return (self.folder / request).exists()

    def refresh(self) -> None:
        """Let a network file system look again: it may remember for a while that a file is not there."""
        self.folder.chmod(self.folder.stat().st_mode)

    def end(self, outcome: Outcome) -> None:
        """Say how the job ended; the first word counts."""
        if self.outcome is None:
            write_atomically(self.folder / ENDED, to_json(asdict(outcome)))

    @property
    def outcome(self) -> Outcome | None:
        """How the job ended; None until that is known."""
        try:
            return Outcome(**json.loads((self.folder / ENDED).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None


CHANNEL_SECONDS = 0.2


@dataclass(frozen=True)
class Order:
    """All that another host is told of a job; `owner`: the process that runs the sweep, as sweep.json has it."""

    sweep: Path
    attempt: Attempt
    owner: Mapping[str, Any] | None
    working_directory: Path
    timeout_seconds: float | None
    command: tuple[str, ...]


def attend(order: Order) -> None:
    """Do the job in a fresh process of this host, from where the sweep was started; say in its channel how it ended.

    Nothing is done for a sweep that has ended, or that another process has taken over, while the job was queued.
    """
    os.chdir(order.working_directory)
    plan, number = read_sweep(order.sweep), order.attempt.number
    channel = Channel(plan.folder, number)
    if plan.process != order.owner or channel.asked("end") or channel.outcome is not None:
        return
    channel.begin()
    job = JobProcess(plan, order.attempt, timeout_seconds=order.timeout_seconds, command=order.command)
    try:
        channel.end(_outcome(job, channel))
    except BaseException:  # the scheduler wants its place back: submitit and Ray raise here, each in its own way
        job.ask_to_end()
        channel.end(_outcome(job, channel))
        raise
    finally:
        job.close()


def _outcome(job: JobProcess, channel: Channel) -> Outcome:
    while (outcome := job.poll()) is None:
        if channel.asked("kill"):
            job.kill()
        elif channel.asked("prune"):
            job.ask_to_end("pruned")
        elif channel.asked("end"):
            job.ask_to_end()
        time.sleep(CHANNEL_SECONDS)
    return outcome


POLL_SECONDS = 0.5
"""How often files and scheduler are asked: every sweep of a cluster does so for each of its jobs."""

SETTLE_SECONDS = 10.0
"""How long the last word of a job may take to be seen, once its scheduler says that it is over."""

KILLED, TERMINATED = SIGNALLED + signal.SIGKILL, SIGNALLED + signal.SIGTERM


class Booking(Protocol):
    """What a scheduler gives for a job."""

    def fate(self) -> str | None:
        """How the job ended, in the scheduler's words, with its last lines; None while it waits or runs."""

    def cancel(self) -> None:
        """Take the job out of the queue, or off its host."""


class Orders:
    """Writes the orders for a sweep's jobs; the sweep is said to be running."""

    def __init__(self, plan: SweepPlan, timeout_seconds: float | None) -> None:
        self.plan, self.timeout_seconds = plan, timeout_seconds
        self.owner = read_sweep(plan.folder).process

    def order(self, attempt: Attempt) -> Order:
        """The order for a job, whose channel is opened."""
        Channel(self.plan.folder, attempt.number).open()
        return Order(self.plan.folder, attempt, self.owner, Path.cwd(), self.timeout_seconds, process.COMMAND)


class QueuedJob:
    """A job in a queue or on another host: its channel says what becomes of it, its booking only where that fails."""

    def __init__(self, plan: SweepPlan, attempt: Attempt, booking: Booking) -> None:
        self.plan, self.planned, self.booking = plan, attempt.job, booking
        self._again = attempt.again
        self._channel = Channel(plan.folder, attempt.number)
        self._begun = self._looked = time.monotonic()
        self._over: float | None = None
        self._ended = False

    @property
    def has_begun(self) -> bool:
        """Whether it has been given a host."""
        return self._channel.has_begun

    def poll(self) -> Outcome | None:
        """How it ended; None while it waits or runs."""
        if time.monotonic() - self._looked < POLL_SECONDS:
            return None
        self._looked = time.monotonic()
        outcome = self._channel.outcome or self._withdrawn() or self._lost()
        if outcome is not None:
            self._ended = True
            mark_killed(self.plan.job_folder(self.planned.number))
        return outcome

    def ask_to_end(self, cause: Cause = "interrupted") -> None:
        """Let it end when its step is done and its state is written, or leave the queue."""
        if not (self._channel.asked("end") or self._channel.asked("prune")):
            self._channel.ask("prune" if cause == "pruned" else "end")
            if not self.has_begun:
                self.booking.cancel()

    def close(self) -> None:
        """End it at once, wherever it is."""
        if not self._ended:
            self._channel.ask("kill")
            self.booking.cancel()

    def _withdrawn(self) -> Outcome | None:
        if self._channel.asked("end") and not self.has_begun:
            return Outcome(self.planned.number, "interrupted", TERMINATED, 0.0)
        return None

    def _lost(self) -> Outcome | None:
        """What its scheduler knows of a job that ended without a word."""
        fate = self.booking.fate()
        if fate is None:
            return None
        self._over = self._over or time.monotonic()
        self._channel.refresh()
        if time.monotonic() - self._over < SETTLE_SECONDS:
            return None
        folder = self.plan.job_folder(self.planned.number)
        if not folder.exists() or not (self.has_begun or self._again):
            folder = begin_job(self.plan, self.planned.number)
        note(folder, fate)
        return Outcome(self.planned.number, self._ended_as(), KILLED, time.monotonic() - self._begun)

    def _ended_as(self) -> Ended:
        if self._channel.asked("prune"):
            return "pruned"
        return "interrupted" if self._channel.asked("end") else "killed"
