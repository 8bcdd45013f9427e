"""What a loader is judged by beside the results of training: figures that every run has, as a person reads them.

What the jobs of a sweep are judged by, and whether less or more of it is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

from runner.records.run_folder import RunFolder, goal_of


@dataclass(frozen=True)
class Figure:
    """A key of runs, what a column of it is called and means, which way is better, and what one of its unit is."""

    key: str
    title: str
    meaning: str
    goal: Literal["min", "max"]
    unit: float = 1.0


FIGURES = (
    Figure("images_per_second", "images/s", "images trained on in a second, in the last epoch", "max"),
    Figure("wait_share", "wait %", "of the last epoch's training, how much was waiting for data", "min", 0.01),
    Figure(
        "fit.cpu_seconds",
        "cpu s",
        "seconds that all processors together spent on training and validation, worker processes included",
        "min",
    ),
    Figure(
        "fit.peak_memory_bytes",
        "peak MB",
        "the most memory the job's process ever held, and each worker process beside it, in millions of bytes",
        "min",
        1e6,
    ),
    Figure("fit.wait.first_batch_seconds", "first batch s", "seconds the model waited for its first batch", "min"),
    Figure("seconds.total", "seconds", "how long the whole job took, from its start to its end", "min"),
)
"""In the order of their columns."""

BY_KEY: Mapping[str, Figure] = {figure.key: figure for figure in FIGURES}


def title_of(key: str) -> str:
    """What a column is called: the key itself where it is none of the figures."""
    return BY_KEY[key].title if key in BY_KEY else key


def in_unit(key: str, value: Any) -> Any:
    """A value as it stands in a column of that title."""
    return value / BY_KEY[key].unit if key in BY_KEY and isinstance(value, int | float) else value


def meanings(keys: tuple[str, ...]) -> dict[str, str]:
    """What the columns of those keys mean, by title, as far as they are figures."""
    return {BY_KEY[key].title: BY_KEY[key].meaning for key in keys if key in BY_KEY}


DIRECTIONS: Mapping[str, str] = {"seconds": "min", **{figure.key: figure.goal for figure in FIGURES}}
"""Which way figures of a loader, and all times of a run, are better."""


@dataclass(frozen=True)
class Objective:
    """A key of runs, and whether its smallest or largest value is the best."""

    key: str
    goal: Literal["min", "max"]

    def value(self, run: RunFolder) -> float | None:
        """What a run came to; None where it has no number there."""
        return run.number(self.key)

    def rank(self, run: RunFolder) -> tuple[bool, float]:
        """What to sort runs by, so that the best is first, and those without a number last."""
        value = self.value(run)
        known = value is not None and not isnan(value)
        return not known, 0.0 if value is None or not known else -value if self.goal == "max" else value


def objective_of(key: str | None, goal: str | None) -> Objective | None:
    """The objective of that key; None where there is none, or its direction is not known."""
    direction = None if key is None else goal or goal_of_figure(key)
    return None if key is None or direction is None else Objective(key, "max" if direction == "max" else "min")


def goal_of_figure(key: str) -> str | None:
    """`min` or `max` for metrics and for loader figures; None where the direction is not known."""
    return DIRECTIONS.get(key) or DIRECTIONS.get(key.partition(".")[0]) or goal_of(key)


def monitored(runs: Sequence[RunFolder]) -> Objective:
    """What training itself monitors: `train.monitor` where the runs agree on one, else val_loss, else loss."""
    named = {(run.config.get("train") or {}).get("monitor", "auto") for run in runs}
    name = named.pop() if len(named) == 1 else "auto"
    asked = None if name == "auto" else objective_of(name, None)
    has_validation = any("val_loss" in row for run in runs for row in run.metrics)
    return asked or Objective("val_loss" if has_validation else "loss", "min")
