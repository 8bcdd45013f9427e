"""The jobs of a sweep, so many at once, until all have ended or the sweep has to."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Protocol

from runner.records.sweep import PlannedJob, SweepPlan
from runner.sweeping.gpus import of_slot, visible_gpus
from runner.sweeping.process import Attempt, JobProcess, Outcome
from runner.sweeping.settings import SweepSettings

TICK_SECONDS = 0.1
TOLD = "interrupted: jobs end after their step, with their state written; once more ends them at once\n"


class Observer(Protocol):
    """Who wants to know how a sweep goes on."""

    def on_start(self, job: PlannedJob) -> None:
        """A job is started."""

    def on_end(self, outcome: Outcome) -> None:
        """A job has ended."""

    def on_tick(self) -> None:
        """A moment has passed."""


def run_jobs(
    plan: SweepPlan, attempts: Iterable[Attempt], settings: SweepSettings, observer: Observer
) -> list[Outcome]:
    """Run the jobs; how those that were started ended, in that order. Nothing of them is left when this returns.

    The next attempt is asked for when there is room for it, and after those that ended before have been told.
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
        self, plan: SweepPlan, attempts: Iterable[Attempt], settings: SweepSettings, observer: Observer
    ) -> None:
        self.plan, self.settings, self.observer = plan, settings, observer
        self.waiting = iter(attempts)
        self.all_started = False
        self.running: dict[int, JobProcess] = {}
        self.outcomes: list[Outcome] = []
        self.gpus = visible_gpus() if settings.jobs > 1 else ()

    def run(self) -> None:
        while self.running or not self.all_started:
            self._start()
            self._look()
            if self.settings.fail_fast and any(outcome.exit_code for outcome in self.outcomes):
                self.end_soon()
            time.sleep(TICK_SECONDS)

    def end_soon(self) -> None:
        """Start no more, ask those that run to end, and wait until they have."""
        self.all_started = True
        for process in self.running.values():
            process.ask_to_end()
        while self.running:
            self._look()
            time.sleep(TICK_SECONDS)

    def close(self) -> None:
        for process in self.running.values():
            process.close()

    def _start(self) -> None:
        free = [slot for slot in range(self.settings.jobs) if slot not in self.running]
        for slot in free if not self.all_started else ():
            attempt = next(self.waiting, None)
            if attempt is None:
                self.all_started = True
                return
            environment = of_slot(slot, self.gpus, self.settings.jobs)
            self.running[slot] = JobProcess(self.plan, attempt, environment)
            self.observer.on_start(attempt.job)

    def _look(self) -> None:
        minutes = self.settings.timeout_minutes
        for slot, process in list(self.running.items()):
            outcome = process.poll(None if minutes is None else 60 * minutes)
            if outcome is not None:
                process.close()
                del self.running[slot]
                self.outcomes.append(outcome)
                self.observer.on_end(outcome)
        self.observer.on_tick()
