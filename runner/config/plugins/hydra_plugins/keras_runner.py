"""The launcher `hydra/launcher=runner`, by which a sweeper of Hydra's runs its jobs."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ProcessLauncher(Launcher):
    """Takes jobs from a sweeper, batch by batch; the runner runs each job in its own process."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the task function, which here runs a batch of jobs rather than one job."""
        self._run_batch = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs, each given by its overrides; the result of each."""
        returned: Sequence[JobReturn] = self._run_batch(job_overrides)
        return returned


ConfigStore.instance().store(
    group="hydra/launcher",
    name="runner",
    node={"_target_": f"{ProcessLauncher.__module__}.{ProcessLauncher.__name__}"},
    provider="keras-runner",
)
