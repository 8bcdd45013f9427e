"""The schedule of a sweep: runs its jobs, a limited number at once, until all have ended or the sweep must stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from runner.sweeps.launchers import Launcher, StartedJob, open_launcher
from runner.sweeps.process import JobAttempt, JobOutcome
from runner.sweeps.settings import SweepSettings
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan

TICK_SECONDS = 0.1
INTERRUPTED = "interrupted: each job finishes its step and writes its state; interrupt again to kill them now\n"


class SweepObserver(Protocol):
    """Follows the progress of a sweep."""

    def on_start(self, job: PlannedJob) -> None:
        """A job has started."""

    def on_end(self, outcome: JobOutcome) -> None:
        """A job has ended."""

    def on_tick(self) -> None:
        """About `TICK_SECONDS` have passed."""


def never(job: PlannedJob) -> bool:
    """Prune no job."""
    return False


def run_jobs(
    plan: SweepPlan,
    attempts: Iterable[JobAttempt],
    settings: SweepSettings,
    observer: SweepObserver,
    *,
    slots: int,
    should_prune: Callable[[PlannedJob], bool] = never,
) -> list[JobOutcome]:
    """Run the jobs, `slots` at once, and return the outcomes of those that started, in the order in which they ended.

    The next attempt is drawn when a slot is free, after the observer has heard of every job that ended before.
    `should_prune` is called repeatedly for each running job; a pruned job writes its state and ends.

    On `KeyboardInterrupt` (Ctrl-C, SIGTERM) the running jobs write their state and end; then the exception is raised
    again. A second interrupt kills the jobs. No process of a job is left when this function returns or raises.
    """
    schedule = _Schedule(attempts, observer, open_launcher(plan, settings, slots), slots)
    try:
        schedule.run(should_prune, fail_fast=settings.fail_fast)
    except KeyboardInterrupt:
        sys.stderr.write(INTERRUPTED)
        schedule.stop()
        raise
    finally:
        schedule.close()
    return schedule.outcomes


class _Schedule:
    def __init__(self, attempts: Iterable[JobAttempt], observer: SweepObserver, launcher: Launcher, slots: int) -> None:
        self.observer, self.launcher, self.slots = observer, launcher, slots
        self.waiting = iter(attempts)
        self.all_started = False
        self.running: dict[int, StartedJob] = {}
        self.begun: set[StartedJob] = set()
        self.outcomes: list[JobOutcome] = []

    def run(self, should_prune: Callable[[PlannedJob], bool], *, fail_fast: bool) -> None:
        while self.running or not self.all_started:
            self._start()
            self._poll()
            self._prune(should_prune)
            if fail_fast and not all(outcome.succeeded for outcome in self.outcomes):
                self.stop()
            time.sleep(TICK_SECONDS)

    def stop(self) -> None:
        """Start no further job, ask the running ones to end, and wait for them."""
        self.all_started = True
        for job in self.running.values():
            job.ask_to_end()
        while self.running:
            self._poll()
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

    def _poll(self) -> None:
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

    def _prune(self, should_prune: Callable[[PlannedJob], bool]) -> None:
        for job in self.running.values():
            if job in self.begun and should_prune(job.planned):
                job.ask_to_end("pruned")
