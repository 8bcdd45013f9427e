"""Which launcher `sweep.launcher` names, and whether it can be used here."""

from __future__ import annotations

from runner.component import not_installed
from runner.sweeps.launchers import Launcher
from runner.sweeps.local import LocalLauncher
from runner.sweeps.ray_jobs import RayLauncher
from runner.sweeps.settings import SweepSettings
from runner.sweeps.submitit_jobs import SubmititLauncher
from runner.sweeps.submitit_jobs import problem as problem_of_submitit
from runner.sweeps.sweep_plan import SweepPlan


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
