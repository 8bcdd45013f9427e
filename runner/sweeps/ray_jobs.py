"""`sweep.launcher=ray`: a Ray task for each job, which starts the process of the job on the host that Ray chooses.

Ray only schedules. The sweep and its jobs talk through the folder of the sweep, which all hosts must share.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from runner.errors import RunnerError
from runner.sweeps.cluster import ClusterJob, JobQueue, run_queued_job
from runner.sweeps.process import JobAttempt
from runner.sweeps.settings import Ray
from runner.sweeps.sweep_plan import SweepPlan

LOCAL_ADDRESS = "local"
"""Ray's address for a new cluster on this host, which ends with this process."""

CLOSING_SECONDS = 10.0
"""How long cancelled tasks may take to end their processes."""

GIB = 1024**3


class RayLauncher:
    """Hands jobs to Ray, which runs as many at once as the cluster has room for."""

    def __init__(self, plan: SweepPlan, settings: Ray, timeout_seconds: float | None) -> None:
        import ray

        self.plan, self.queue = plan, JobQueue(plan, timeout_seconds)
        own_cluster = {"include_dashboard": False} if settings.address is None else {}
        handler = signal.getsignal(signal.SIGTERM)
        try:
            address = settings.address or LOCAL_ADDRESS
            ray.init(address=address, log_to_driver=False, logging_level="error", **own_cluster)
        except (ConnectionError, ValueError) as error:
            raise RunnerError(
                f"sweep.ray.address must be a cluster that answers, got {settings.address}: {error}; "
                "leave it out to start a cluster on this host"
            ) from error
        signal.signal(signal.SIGTERM, handler)  # Ray's own handler would end this process before it writes the table
        if settings.address is None and (problem := _resource_problem(settings, ray.cluster_resources())):
            ray.shutdown()
            raise RunnerError(problem)
        self.task = ray.remote(run_queued_job).options(
            num_cpus=settings.num_cpus,
            num_gpus=settings.num_gpus,
            memory=None if settings.memory_gb is None else int(settings.memory_gb * GIB),
            resources=settings.resources,
            max_retries=0,
            name=f"sweep-{plan.folder.name}",
        )
        self.references: list[Any] = []

    def start(self, attempt: JobAttempt, slot: int) -> ClusterJob:
        """Queue the job."""
        reference = self.task.remote(self.queue.prepare(attempt))
        self.references.append(reference)
        return ClusterJob(self.plan, attempt, _RayEntry(reference))

    def close(self) -> None:
        """Wait until cancelled tasks have ended their processes; then leave the cluster, or end our own."""
        import ray

        if self.references:
            ray.wait(self.references, num_returns=len(self.references), timeout=CLOSING_SECONDS)
        ray.shutdown()


def _resource_problem(settings: Ray, available: Mapping[str, float]) -> str | None:
    """What a job needs more of than this host has, so that it would wait forever; a real cluster may still grow."""
    cores = ("num_cpus", settings.num_cpus, available.get("CPU", 0))
    gpus = ("num_gpus", settings.num_gpus, available.get("GPU", 0))
    memory = ("memory_gb", settings.memory_gb or 0, available.get("memory", 0) / GIB)
    named = settings.resources or {}
    others = [(f"resources.{name}", count, available.get(name, 0)) for name, count in named.items()]
    for key, wanted, most in (cores, gpus, memory, *others):
        if wanted > most:
            return (
                f"sweep.ray.{key} must be at most {most:g}, which is what this host has, got {wanted:g}; "
                "lower it, or name a larger cluster with sweep.ray.address"
            )
    return None


class _RayEntry:
    def __init__(self, reference: Any) -> None:
        self.reference = reference

    def end_state(self) -> str | None:
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
