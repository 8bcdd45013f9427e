"""`sweep.*`: how the jobs of a sweep are run and judged; no part of what a job is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, Strict, model_validator

from runner.component import Component, Count, Folder, Package, PositiveInt
from runner.records.columns import goal_of_figure

Pair = Annotated[tuple[str, ...], Strict(False), Field(min_length=2)]


class Submitit(Component):
    """A job in the queue; all further keys are submitit's own, such as `slurm_partition` and `slurm_account`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    executor: Literal["slurm", "local", "debug"] = "slurm"
    """Where submitit runs the jobs: in the SLURM queue, in processes of this host, or in this process."""

    timeout_min: PositiveInt = 1440
    """Minutes after which the queue ends a job; submitit's own 5 would end most trainings."""

    gpus_per_node: Count | None = None
    """GPUs of a job."""

    cpus_per_task: PositiveInt | None = None
    """CPU cores of a job."""

    mem_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory of a job, in GB."""

    def parameters(self) -> dict[str, Any]:
        """What submitit's `update_parameters` is given."""
        return self.model_dump(exclude={"executor"}, exclude_none=True)


class Ray(Component):
    """A job as a Ray task, and the cluster it runs on."""

    address: str | None = None
    """The cluster: `auto`, the one this host is part of, or any address Ray takes; null: one for this sweep alone."""

    num_cpus: Annotated[float, Field(ge=0)] = 1
    """CPU cores of a job: Ray starts no more jobs than there are cores for."""

    num_gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs of a job; it sees no others."""

    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory of a job, in GB: no more jobs are started than there is memory for; null: it is not counted."""

    resources: dict[str, float] | None = None
    """What else a job needs, by the cluster's own names: {highmem: 1}."""


class SweepSettings(Component):
    """How a sweep (`-m`) runs its jobs, each in a process of its own."""

    jobs: PositiveInt | None = None
    """How many jobs run at once, each with a GPU of its own; null: one, on a cluster all, or ten proposed by Optuna."""

    launcher: Literal["local", "submitit", "ray"] = "local"
    """Who starts the jobs: this process (`local`), the SLURM queue by way of `submitit`, or `ray`."""

    submitit: Submitit = Submitit()
    """What a job asks of the queue with `sweep.launcher=submitit`."""

    ray: Ray = Ray()
    """What a job asks of the cluster with `sweep.launcher=ray`."""

    paired: Annotated[tuple[Pair, ...], Strict(False)] = ()
    """Keys whose values go together, first with first, in place of every combination: [[key,key]]."""

    fail_fast: bool = False
    """Whether the first job that fails ends the sweep, and those that are running."""

    timeout_minutes: Annotated[float, Field(gt=0)] | None = None
    """How long a job may take; one that takes longer is ended, with its state written. Null: as long as it likes."""

    objective: str | None = None
    """What jobs are sorted by: val_accuracy, evaluate.loss, images_per_second, …; null: what training monitors."""

    goal: Literal["min", "max"] | None = None
    """Whether less of the objective is better or more; null: known for losses, errors, accuracies, loader figures."""

    search: Literal["random", "optuna"] | None = None
    """How values are found in ranges, key=interval(0.1,0.5), in place of every combination; optuna: by Optuna's TPE."""

    trials: PositiveInt | None = None
    """How many configurations a search tries; null: 20, or as many as the search that is resumed was to."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of what a search tries."""

    prune: bool = False
    """Whether Optuna gives up trials whose objective is, after an epoch, worse than the median of completed ones."""

    resume: Folder | None = None
    """The sweep whose missing and failed jobs are run, as they were configured then; `latest`: the newest."""

    @property
    def timeout_seconds(self) -> float | None:
        """How long a job may take; None: as long as it likes."""
        return None if self.timeout_minutes is None else 60 * self.timeout_minutes

    def slots(self, count: int) -> int:
        """How many of `count` jobs are started, or queued, at once."""
        if self.jobs is not None:
            return self.jobs
        return 1 if self.launcher == "local" else max(1, count)

    @model_validator(mode="after")
    def _goal_is_known(self) -> Self:
        if self.objective is not None and (self.goal or goal_of_figure(self.objective)) is None:
            raise ValueError(
                f"goal must say whether less or more of {self.objective} is better, got null; "
                "add sweep.goal=min or sweep.goal=max"
            )
        if self.goal is not None and self.objective is None:
            raise ValueError(f"goal must go with sweep.objective, got {self.goal} alone; add sweep.objective=KEY")
        return self

    @model_validator(mode="after")
    def _search_is_one(self) -> Self:
        if self.search is not None and self.paired:
            raise ValueError("paired must not go with sweep.search, which chooses each value by itself; leave it out")
        if self.search is not None and self.resume is not None:
            raise ValueError("search must not go with sweep.resume: how it searches is known; leave it out")
        if self.trials is not None and self.search is None and self.resume is None:
            raise ValueError(
                f"trials must go with a search, got {self.trials} alone; add sweep.search=random or sweep.search=optuna"
            )
        return self

    @model_validator(mode="after")
    def _pruning_has_epochs(self) -> Self:
        if self.prune and self.resume is not None:
            raise ValueError("prune must not go with sweep.resume: whether trials are given up is known; leave it out")
        if self.prune and self.search != "optuna":
            raise ValueError(
                "prune must go with sweep.search=optuna, which compares the epochs of trials, got "
                f"{f'sweep.search={self.search}' if self.search else 'no search'}; take that, or leave it out"
            )
        if self.prune and self.objective is not None and "." in self.objective:
            raise ValueError(
                f"prune must go with an objective that every epoch has, a column of metrics.csv, got {self.objective}; "
                "take one such as val_loss or val_accuracy"
            )
        return self

    def packages(self) -> Iterator[Package]:
        """The launcher's, and Optuna, where it searches."""
        if self.launcher != "local":
            yield Package(f"sweep.launcher={self.launcher}", self.launcher, self.launcher, "take sweep.launcher=local")
        if self.search == "optuna":
            yield Package("sweep.search=optuna", "optuna", "optuna", "take sweep.search=random")
