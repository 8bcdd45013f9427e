"""`sweep.*`: how the jobs of a sweep are run and judged; no part of what a job is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from runner.components import Component, Folder, PositiveInt
from runner.packages import Package
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

    search: Literal["random", "optuna"] | None = None
    """How values are found in ranges, key=interval(0.1,0.5), in place of every combination; optuna: by Optuna's TPE."""

    trials: PositiveInt | None = None
    """How many configurations a search tries; null: 20, or as many as the search that is resumed was to."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of what a search tries."""

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

    def packages(self) -> Iterator[Package]:
        """Optuna, where it searches."""
        if self.search == "optuna":
            yield Package("sweep.search=optuna", "optuna", "optuna", "take sweep.search=random")
