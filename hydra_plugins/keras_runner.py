"""The launcher of `python -m runner`, `hydra/launcher=runner`: Hydra takes launchers of this package alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

RunBatch = Callable[[Sequence[Sequence[str]]], Sequence[JobReturn]]
"""Runs jobs, each given by its overrides, and says what came of each."""


class ProcessLauncher(Launcher):
    """What a sweeper hands its jobs to, batch by batch; the runner runs each in a process of its own."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember who runs the jobs: the task is a `RunBatch`."""
        self._run_batch: RunBatch = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Have a batch of jobs run."""
        return self._run_batch(job_overrides)


ConfigStore.instance().store(
    group="hydra/launcher",
    name="runner",
    node={"_target_": f"{ProcessLauncher.__module__}.{ProcessLauncher.__name__}"},
    provider="keras-runner",
)
