"""Launchers start the jobs of a sweep; `sweep.launcher` chooses one. The local one shares out the GPUs of this host."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Protocol

from runner.component import not_installed
from runner.sweeps.process import JobAttempt, JobOutcome, JobProcess, StopCause
from runner.sweeps.ray_jobs import RayLauncher
from runner.sweeps.settings import SweepSettings
from runner.sweeps.submitit_jobs import SubmititLauncher, submitit_problem
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan


class StartedJob(Protocol):
    """A job that runs, or waits in the queue of a scheduler."""

    @property
    def planned(self) -> PlannedJob:
        """The job of the sweep."""

    @property
    def has_begun(self) -> bool:
        """Whether the job runs or has ended; False while it waits in a queue."""

    def poll(self) -> JobOutcome | None:
        """Return how the job ended, or None until then; called repeatedly, as it also enforces time limits."""

    def ask_to_end(self, cause: StopCause = "interrupted") -> None:
        """Ask the job to finish its step, write its state and end; a waiting job leaves its queue."""

    def close(self) -> None:
        """Kill the job if it still runs, and release what belongs to it."""


class Launcher(Protocol):
    """Starts jobs."""

    def start(self, attempt: JobAttempt, slot: int) -> StartedJob:
        """Start a job, or queue it; no other job that is started and has not ended has the same `slot`."""

    def close(self) -> None:
        """Release what starting jobs needed; all jobs are closed by then."""


def open_launcher(plan: SweepPlan, settings: SweepSettings, slots: int) -> Launcher:
    """The launcher that `sweep.launcher` names, for at most `slots` jobs at once."""
    if settings.launcher == "submitit":
        return SubmititLauncher(plan, settings.submitit, settings.timeout_seconds)
    if settings.launcher == "ray":
        return RayLauncher(plan, settings.ray, settings.timeout_seconds)
    return LocalLauncher(plan, slots, settings.timeout_seconds)


def launcher_problem(settings: SweepSettings) -> str | None:
    """Why an installed launcher cannot be used here, and how to fix it; None if it can."""
    if settings.launcher != "submitit" or not_installed(settings.packages()):
        return None
    return submitit_problem(settings.submitit)


class LocalLauncher:
    """Starts jobs as child processes; jobs that run at the same time get a GPU each."""

    def __init__(self, plan: SweepPlan, slots: int, timeout_seconds: float | None) -> None:
        self.plan, self.slots, self.timeout_seconds = plan, slots, timeout_seconds
        self.gpus = visible_gpus() if slots > 1 else ()

    def start(self, attempt: JobAttempt, slot: int) -> JobProcess:
        """Start the process."""
        environment = gpu_environment(slot, self.gpus, self.slots)
        return JobProcess(self.plan, attempt, timeout_seconds=self.timeout_seconds, environment=environment)

    def close(self) -> None:
        """Do nothing."""


CUDA_VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
NO_DEVICES = ("", "-1", "NoDevFiles")
"""Values of that variable which hide all GPUs."""


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The names of the GPUs that this process may use: those that the environment lists, or else all of the host."""
    listed = environment.get(CUDA_VISIBLE_DEVICES)
    if listed is not None:
        return () if listed.strip() in NO_DEVICES else tuple(name.strip() for name in listed.split(","))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return tuple(done.stdout.split()) if done.returncode == 0 else ()


def gpu_environment(slot: int, gpus: Sequence[str], slots: int) -> dict[str, str]:
    """The variable that limits the job in `slot` to one GPU; empty with a single slot, whose job may use all GPUs."""
    return {CUDA_VISIBLE_DEVICES: gpus[slot % len(gpus)]} if gpus and slots > 1 else {}
