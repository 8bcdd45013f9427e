"""`sweep.*`: how the jobs of a sweep run and are compared. These keys are not part of the configuration of a job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, Strict, model_validator

from runner.component import Component, Count, Folder, Package, PositiveInt

PairedKeys = Annotated[tuple[str, ...], Strict(False), Field(min_length=2)]


class Submitit(Component):
    """What a job requests from the queue; further keys go to submitit as they are, such as `slurm_partition`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    executor: Literal["slurm", "local", "debug"] = "slurm"
    """Where submitit runs jobs: in the SLURM queue, in processes of this host, or in this process."""

    timeout_min: PositiveInt = 1440
    """Minutes after which the queue ends a job; submitit's own default, 5, is too short for most trainings."""

    gpus_per_node: Count | None = None
    """GPUs per job."""

    cpus_per_task: PositiveInt | None = None
    """CPU cores per job."""

    mem_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory per job, in GB."""

    def parameters(self) -> dict[str, Any]:
        """The arguments of submitit's `update_parameters`."""
        return self.model_dump(exclude={"executor"}, exclude_none=True)


class Ray(Component):
    """What a job requests from Ray, and the cluster that runs it."""

    address: str | None = None
    """The cluster: `auto` (the one of this host) or an address that Ray accepts; null: a new one for this sweep."""

    num_cpus: Annotated[float, Field(ge=0)] = 1
    """CPU cores per job; Ray starts only as many jobs as it has cores for."""

    num_gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs per job; the job sees no other GPU."""

    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory per job, in GB; Ray starts only as many jobs as it has memory for; null: memory is not counted."""

    resources: dict[str, float] | None = None
    """Custom resources per job, by their names in the cluster: {highmem: 1}."""


class SweepSettings(Component):
    """How a sweep (`-m`) runs its jobs. Each job is a process of its own."""

    jobs: PositiveInt | None = None
    """How many jobs run at once, each with its own GPU; null: 1, or on a cluster all of them (10 for Optuna)."""

    launcher: Literal["local", "submitit", "ray"] = "local"
    """What starts the jobs: this process (`local`), a SLURM queue (`submitit`) or `ray`."""

    submitit: Submitit = Submitit()
    """What a job requests from the queue with `sweep.launcher=submitit`."""

    ray: Ray = Ray()
    """What a job requests from the cluster with `sweep.launcher=ray`."""

    paired: Annotated[tuple[PairedKeys, ...], Strict(False)] = ()
    """Keys whose values are paired, first with first, instead of combined: [[key,key]]."""

    fail_fast: bool = False
    """Whether the first job that fails stops the sweep and its running jobs."""

    timeout_minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes a job may take; a longer one writes its state and stops. Null: no limit."""

    objective: str | None = None
    """What sorts the jobs: val_accuracy, evaluate.loss, images_per_second, …; null: what training monitors."""

    goal: Literal["min", "max"] | None = None
    """Whether to minimise or maximise the objective; null: known for losses, errors, accuracies and loading speed."""

    search: Literal["random", "optuna"] | None = None
    """How to pick values from ranges, key=interval(0.1,0.5), instead of every combination; optuna: by Optuna's TPE."""

    trials: PositiveInt | None = None
    """How many configurations a search tries; null: 20, or as many as planned for a resumed search."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed from which a search picks its values."""

    prune: bool = False
    """Whether to stop a trial whose best objective after an epoch is worse than the median of completed trials."""

    resume: Folder | None = None
    """The sweep whose missing and failed jobs to run, with their original configuration; `latest`: the newest."""

    takeover: bool = False
    """With `sweep.resume`: whether to resume a sweep that seems to run on another host, which has lost it."""

    @property
    def timeout_seconds(self) -> float | None:
        """Seconds a job may take; None: no limit."""
        return None if self.timeout_minutes is None else 60 * self.timeout_minutes

    def slots(self, count: int) -> int:
        """How many of `count` jobs to start, or to queue, at once."""
        if self.jobs is not None:
            return self.jobs
        return 1 if self.launcher == "local" else max(1, count)

    @model_validator(mode="after")
    def _goal_is_known(self) -> Self:
        if self.objective is None:
            if self.goal is not None:
                raise ValueError(f"goal needs sweep.objective, got only goal={self.goal}; add sweep.objective=KEY")
            return self
        from runner.records.columns import goal_of_column

        if (self.goal or goal_of_column(self.objective)) is None:
            raise ValueError(
                f"goal must be min or max for the objective {self.objective}, got null; "
                "add sweep.goal=min or sweep.goal=max"
            )
        return self

    @model_validator(mode="after")
    def _search_is_one(self) -> Self:
        if self.search is not None and self.paired:
            raise ValueError(
                "paired cannot be combined with sweep.search, which picks each value independently; leave it out"
            )
        if self.search is not None and self.resume is not None:
            raise ValueError(
                "search cannot be combined with sweep.resume, which continues as the sweep began; leave it out"
            )
        if self.trials is not None and self.search is None and self.resume is None:
            raise ValueError(
                f"trials needs a search, got only trials={self.trials}; add sweep.search=random or sweep.search=optuna"
            )
        return self

    @model_validator(mode="after")
    def _pruning_has_epochs(self) -> Self:
        if self.prune and self.resume is not None:
            raise ValueError(
                "prune cannot be combined with sweep.resume, which continues as the sweep began; leave it out"
            )
        if self.prune and self.search != "optuna":
            raise ValueError(
                "prune needs sweep.search=optuna, which compares trials epoch by epoch, got "
                f"sweep.search={self.search or 'null'}; set sweep.search=optuna, or leave prune out"
            )
        if self.prune and self.objective is not None and "." in self.objective:
            raise ValueError(
                f"prune needs an objective that every epoch has, a column of metrics.csv, got {self.objective}; "
                "use one such as val_loss or val_accuracy"
            )
        return self

    def packages(self) -> Iterator[Package]:
        """The packages that the launcher and the search need."""
        if self.launcher != "local":
            yield Package(f"sweep.launcher={self.launcher}", self.launcher, self.launcher, "use sweep.launcher=local")
        if self.search == "optuna":
            yield Package("sweep.search=optuna", "optuna", "optuna", "use sweep.search=random")
