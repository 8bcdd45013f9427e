"""The jobs of a sweep, so many at once, until all have ended or the sweep has to."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from runner.records.sweep import SweepPlan
from runner.sweeping.launcher import Job, Launcher
from runner.sweeping.launchers import launcher_of
from runner.sweeping.process import Attempt, Outcome
from runner.sweeping.settings import SweepSettings

TICK_SECONDS = 0.1
TOLD = "interrupted: jobs end after their step, with their state written; once more ends them at once\n"


class Observer(Protocol):
    """Who wants to know how a sweep goes on."""

    def on_start(self, number: int) -> None:
        """A job is started."""

    def on_end(self, outcome: Outcome) -> None:
        """A job has ended."""

    def on_tick(self) -> None:
        """A moment has passed."""


def run_jobs(
    plan: SweepPlan, attempts: Sequence[Attempt], settings: SweepSettings, observer: Observer
) -> list[Outcome]:
    """Run the jobs; how those that were started ended, in that order. Nothing of them is left when this returns.

    `KeyboardInterrupt` (Ctrl-C, SIGTERM) asks running jobs to end with their state written, and is raised again when
    they have; a second one ends them at once.
    """
    schedule = _Schedule(plan, attempts, settings, observer)
    try:
        schedule.run()
    except KeyboardInterrupt:
        sys.stderr.write(TOLD)
        schedule.end_soon()
        raise
    finally:
        schedule.close()
    return schedule.outcomes


class _Schedule:
    def __init__(
        self, plan: SweepPlan, attempts: Sequence[Attempt], settings: SweepSettings, observer: Observer
    ) -> None:
        self.plan, self.settings, self.observer = plan, settings, observer
        self.waiting = deque(attempts)
        self.running: dict[int, Job] = {}
        self.begun: set[Job] = set()
        self.outcomes: list[Outcome] = []
        self.slots = settings.slots(len(attempts))
        self.launcher: Launcher = launcher_of(plan, settings, self.slots)

    def run(self) -> None:
        while self.waiting or self.running:
            self._start()
            self._look()
            if self.settings.fail_fast and any(outcome.exit_code for outcome in self.outcomes):
                self.end_soon()
            time.sleep(TICK_SECONDS)

    def end_soon(self) -> None:
        """Start no more, ask those that run to end, and wait until they have."""
        self.waiting.clear()
        for job in self.running.values():
            job.ask_to_end()
        while self.running:
            self._look()
            time.sleep(TICK_SECONDS)

    def close(self) -> None:
        for job in self.running.values():
            job.close()
        self.launcher.close()

    def _start(self) -> None:
        free = [slot for slot in range(self.slots) if slot not in self.running]
        for slot in free[: len(self.waiting)]:
            self.running[slot] = self.launcher.start(self.waiting.popleft(), slot)

    def _look(self) -> None:
        for slot, job in list(self.running.items()):
            outcome = job.poll()
            if job not in self.begun and (job.has_begun or outcome is not None):
                self.begun.add(job)
                self.observer.on_start(job.number)
            if outcome is not None:
                job.close()
                del self.running[slot]
                self.outcomes.append(outcome)
                self.observer.on_end(outcome)
        self.observer.on_tick()
