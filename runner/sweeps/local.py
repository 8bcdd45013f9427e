"""`sweep.launcher=local`: jobs as processes of this host."""

from __future__ import annotations

from runner.sweeps.gpus import of_slot, visible_gpus
from runner.sweeps.process import Attempt, JobProcess
from runner.sweeps.sweep_plan import SweepPlan


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
