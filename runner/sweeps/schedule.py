"""The jobs of a sweep, so many at once, until all have ended or the sweep has to."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from runner.sweeps.launchers import Job, Launcher, launcher_of
from runner.sweeps.process import Attempt, Outcome
from runner.sweeps.settings import SweepSettings
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan

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


def keep(job: PlannedJob) -> bool:
    """Give no job up."""
    return False


def run_jobs(
    plan: SweepPlan,
    attempts: Iterable[Attempt],
    settings: SweepSettings,
    observer: Observer,
    *,
    slots: int,
    is_given_up: Callable[[PlannedJob], bool] = keep,
) -> list[Outcome]:
    """Run the jobs, `slots` at once; how those that were started ended, in that order. Nothing of them is left then.

    The next attempt is asked for when there is room for it, and after those that ended before have been told. Of each
    job that runs it is asked, again and again, whether it is given up: then it ends with its state written.
    `KeyboardInterrupt` (Ctrl-C, SIGTERM) asks running jobs to end with their state written, and is raised again when
    they have; a second one ends them at once.
    """
    schedule = _Schedule(attempts, observer, launcher_of(plan, settings, slots), slots)
    try:
        schedule.run(is_given_up, fail_fast=settings.fail_fast)
    except KeyboardInterrupt:
        sys.stderr.write(TOLD)
        schedule.end_soon()
        raise
    finally:
        schedule.close()
    return schedule.outcomes


class _Schedule:
    def __init__(self, attempts: Iterable[Attempt], observer: Observer, launcher: Launcher, slots: int) -> None:
        self.observer, self.launcher, self.slots = observer, launcher, slots
        self.waiting = iter(attempts)
        self.all_started = False
        self.running: dict[int, Job] = {}
        self.begun: set[Job] = set()
        self.outcomes: list[Outcome] = []

    def run(self, is_given_up: Callable[[PlannedJob], bool], *, fail_fast: bool) -> None:
        while self.running or not self.all_started:
            self._start()
            self._look()
            self._give_up(is_given_up)
            if fail_fast and not all(outcome.is_sound for outcome in self.outcomes):
                self.end_soon()
            time.sleep(TICK_SECONDS)

    def end_soon(self) -> None:
        """Start no more, ask those that run to end, and wait until they have."""
        self.all_started = True
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
        for slot in free if not self.all_started else ():
            attempt = next(self.waiting, None)
            if attempt is None:
                self.all_started = True
                return
            self.running[slot] = self.launcher.start(attempt, slot)

    def _give_up(self, is_given_up: Callable[[PlannedJob], bool]) -> None:
        for job in self.running.values():
            if job in self.begun and is_given_up(job.planned):
                job.ask_to_end("pruned")

    def _look(self) -> None:
        for slot, job in list(self.running.items()):
            outcome = job.poll()
            if job not in self.begun and (job.has_begun or outcome is not None):
                self.begun.add(job)
                self.observer.on_start(job.planned)
            if outcome is not None:
                job.close()
                del self.running[slot]
                self.outcomes.append(outcome)
                self.observer.on_end(outcome)
        self.observer.on_tick()
