"""What the schedule needs to know of whoever starts its jobs."""

from __future__ import annotations

from typing import Protocol

from runner.sweeps.process import Attempt, Cause, Outcome
from runner.sweeps.sweep_plan import PlannedJob


class Job(Protocol):
    """A job that was started, or waits for its turn in a queue."""

    @property
    def planned(self) -> PlannedJob:
        """Which job of the sweep it is."""

    @property
    def has_begun(self) -> bool:
        """Whether it runs, or has run; False while it waits in a queue."""

    def poll(self) -> Outcome | None:
        """How it ended; None until then. To be called again and again: time limits are kept here."""

    def ask_to_end(self, cause: Cause = "interrupted") -> None:
        """Let it end when its step is done and its state is written; one that waits in a queue is taken out of it."""

    def close(self) -> None:
        """Make sure that nothing of it is left."""


class Launcher(Protocol):
    """Starts jobs."""

    def start(self, attempt: Attempt, slot: int) -> Job:
        """Start a job, or queue it; `slot` is its own among those that are started and have not ended."""

    def close(self) -> None:
        """Give back what was needed to start jobs; all of them are closed."""
