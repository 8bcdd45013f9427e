"""A job that a scheduler was given, as the sweep sees it from afar."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Protocol

from runner.records.run_folder import mark_killed
from runner.sweeps import process
from runner.sweeps.attend import Order
from runner.sweeps.channel import Channel
from runner.sweeps.output_log import note
from runner.sweeps.process import SIGNALLED, Attempt, Cause, Ended, Outcome
from runner.sweeps.sweep_plan import SweepPlan, begin_job, read_sweep

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
