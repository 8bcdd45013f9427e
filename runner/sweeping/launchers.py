"""Which launcher `sweep.launcher` names, and whether it can be used here."""

from __future__ import annotations

from importlib.util import find_spec

from runner.records.sweep import SweepPlan
from runner.sweeping.launcher import Launcher
from runner.sweeping.local import LocalLauncher
from runner.sweeping.ray_jobs import RayLauncher
from runner.sweeping.settings import SweepSettings
from runner.sweeping.submitit_jobs import SubmititLauncher
from runner.sweeping.submitit_jobs import problem as problem_of_submitit


def launcher_of(plan: SweepPlan, settings: SweepSettings, slots: int) -> Launcher:
    """The launcher of a sweep that runs, for so many jobs at once."""
    if settings.launcher == "submitit":
        return SubmititLauncher(plan, settings.submitit, settings.timeout_seconds)
    if settings.launcher == "ray":
        return RayLauncher(plan, settings.ray, settings.timeout_seconds)
    return LocalLauncher(plan, slots, settings.timeout_seconds)


def launcher_problem(settings: SweepSettings) -> str | None:
    """Why the launcher cannot be used here, and how to mend it; None where it can."""
    name = settings.launcher
    if name != "local" and find_spec(name) is None:
        return f"sweep.launcher={name} must have {name}, which is not installed; pip install 'keras-runner[{name}]'"
    return problem_of_submitit(settings.submitit) if name == "submitit" else None
