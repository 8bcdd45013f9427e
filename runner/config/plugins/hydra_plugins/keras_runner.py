"""`hydra/launcher=runner`: how a sweeper of Hydra's has its jobs run."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ProcessLauncher(Launcher):
    """What a sweeper hands its jobs to, batch by batch; the runner runs each in a process of its own."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember who runs the jobs: here the task is not one job, but a batch of them."""
        self._run_batch = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Have a batch of jobs run, each given by its overrides; what came of each."""
        returned: Sequence[JobReturn] = self._run_batch(job_overrides)
        return returned


ConfigStore.instance().store(
    group="hydra/launcher",
    name="runner",
    node={"_target_": f"{ProcessLauncher.__module__}.{ProcessLauncher.__name__}"},
    provider="keras-runner",
)
