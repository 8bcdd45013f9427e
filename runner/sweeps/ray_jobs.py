"""`sweep.launcher=ray`: a Ray task per job, that starts its process on the host Ray has chosen.

Ray only schedules: what is said goes through the sweep's folder, which all hosts share.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from runner.errors import RunnerError
from runner.sweeps.cluster import Orders, QueuedJob, attend
from runner.sweeps.process import Attempt
from runner.sweeps.settings import Ray
from runner.sweeps.sweep_plan import SweepPlan

OWN = "local"
"""Ray's address for a cluster that is started on this host, and ends with this process."""

CLOSING_SECONDS = 10.0
"""How long tasks that are cancelled may take to end their processes."""

GIB = 1024**3


class RayLauncher:
    """Gives jobs to Ray, which runs so many at once as there is room for."""

    def __init__(self, plan: SweepPlan, settings: Ray, timeout_seconds: float | None) -> None:
        import ray

        self.plan, self.orders = plan, Orders(plan, timeout_seconds)
        alone = {"include_dashboard": False} if settings.address is None else {}
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=settings.address or OWN, log_to_driver=False, logging_level="error", **alone)
        except (ConnectionError, ValueError) as error:
            raise RunnerError(
                f"sweep.ray.address must be a cluster that answers, got {settings.address}: {error}; "
                "leave it out for one on this host"
            ) from error
        signal.signal(signal.SIGTERM, handler)  # Ray's own would end this process with no table told
        if settings.address is None and (lacking := _lacking(settings, ray.cluster_resources())):
            ray.shutdown()
            raise RunnerError(lacking)
        self.task = ray.remote(attend).options(
            num_cpus=settings.num_cpus,
            num_gpus=settings.num_gpus,
            memory=None if settings.memory_gb is None else int(settings.memory_gb * GIB),
            resources=settings.resources,
            max_retries=0,
            name=f"sweep-{plan.folder.name}",
        )
        self.references: list[Any] = []

    def start(self, attempt: Attempt, slot: int) -> QueuedJob:
        """Queue the job."""
        reference = self.task.remote(self.orders.order(attempt))
        self.references.append(reference)
        return QueuedJob(self.plan, attempt, _Task(reference))

    def close(self) -> None:
        """Wait until cancelled tasks have ended their processes, and leave Ray, or end it where it is ours."""
        import ray

        if self.references:
            ray.wait(self.references, num_returns=len(self.references), timeout=CLOSING_SECONDS)
        ray.shutdown()


def _lacking(settings: Ray, there: Mapping[str, float]) -> str | None:
    """What this host has too little of for a job, which would wait for ever; a cluster may grow, and is not asked."""
    cores = ("num_cpus", settings.num_cpus, there.get("CPU", 0))
    gpus = ("num_gpus", settings.num_gpus, there.get("GPU", 0))
    memory = ("memory_gb", settings.memory_gb or 0, there.get("memory", 0) / GIB)
    others = [(f"resources.{name}", count, there.get(name, 0)) for name, count in (settings.resources or {}).items()]
    for key, wanted, most in (cores, gpus, memory, *others):
        if wanted > most:
            return (
                f"sweep.ray.{key} must be at most {most:g}, which is what this host has, got {wanted:g}; "
                "ask for less, or name a cluster with sweep.ray.address"
            )
    return None


class _Task:
    def __init__(self, reference: Any) -> None:
        self.reference = reference

    def fate(self) -> str | None:
        import ray

        if not ray.wait([self.reference], timeout=0)[0]:
            return None
        try:
            ray.get(self.reference)
        except ray.exceptions.RayError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            return f"Ray ended the task: {type(error).__name__}: {lines[-1] if lines else ''}"
        return "Ray ended the task before it began"

    def cancel(self) -> None:
        import ray

        ray.cancel(self.reference)
