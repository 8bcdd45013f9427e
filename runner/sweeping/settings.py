"""`sweep.*`: how the jobs of a sweep are run and judged; no part of what a job is."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from runner.components import Component, Folder, PositiveInt
from runner.store.objective import goal_of_figure

Pair = Annotated[tuple[str, ...], Strict(False), Field(min_length=2)]


class SweepSettings(Component):
    """How a sweep (`-m`) runs its jobs, each in a process of its own."""

    jobs: PositiveInt = 1
    """How many jobs run at once; where there are several GPUs, each of these has one to itself."""

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

    resume: Folder | None = None
    """The sweep whose missing and failed jobs are run, as they were configured then; `latest`: the newest."""

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
