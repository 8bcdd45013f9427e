"""What the schedule needs to know of whoever starts its jobs.

Which GPU a job gets, where several jobs run at once.

`sweep.launcher=local`: jobs as processes of this host.

Which launcher `sweep.launcher` names, and whether it can be used here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Protocol

from runner.component import not_installed
from runner.sweeps.process import Attempt, Cause, JobProcess, Outcome
from runner.sweeps.ray_jobs import RayLauncher
from runner.sweeps.settings import SweepSettings
from runner.sweeps.submitit_jobs import SubmititLauncher
from runner.sweeps.submitit_jobs import problem as problem_of_submitit
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan


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


VISIBLE = "CUDA_VISIBLE_DEVICES"
NONE = ("", "-1", "NoDevFiles")
"""What that variable holds where no GPU is to be seen."""


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA names them: what the environment lists, else all there are."""
    listed = environment.get(VISIBLE)
    if listed is not None:
        return () if listed.strip() in NONE else tuple(name.strip() for name in listed.split(","))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return tuple(done.stdout.split()) if done.returncode == 0 else ()


def of_slot(slot: int, gpus: Sequence[str], jobs: int) -> dict[str, str]:
    """What the environment of a job in this slot says more: its GPU, where jobs would have to share all of them."""
    return {VISIBLE: gpus[slot % len(gpus)]} if gpus and jobs > 1 else {}


class LocalLauncher:
    """Starts jobs as children of this process, each with a GPU of its own where there are several."""

    def __init__(self, plan: SweepPlan, slots: int, timeout_seconds: float | None) -> None:
        self.plan, self.slots, self.timeout_seconds = plan, slots, timeout_seconds
        self.gpus = visible_gpus() if slots > 1 else ()

    def start(self, attempt: Attempt, slot: int) -> JobProcess:
        """Start the process."""
        environment = of_slot(slot, self.gpus, self.slots)
        return JobProcess(self.plan, attempt, timeout_seconds=self.timeout_seconds, environment=environment)

    def close(self) -> None:
        """Nothing."""


def launcher_of(plan: SweepPlan, settings: SweepSettings, slots: int) -> Launcher:
    """The launcher of a sweep that runs, for so many jobs at once."""
    if settings.launcher == "submitit":
        return SubmititLauncher(plan, settings.submitit, settings.timeout_seconds)
    if settings.launcher == "ray":
        return RayLauncher(plan, settings.ray, settings.timeout_seconds)
    return LocalLauncher(plan, slots, settings.timeout_seconds)


def launcher_problem(settings: SweepSettings) -> str | None:
    """Why the launcher, where it is installed, cannot be used here, and how to mend it; None where it can."""
    if settings.launcher != "submitit" or not_installed(settings.packages()):
        return None
    return problem_of_submitit(settings.submitit)
