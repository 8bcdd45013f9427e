"""What the jobs of a sweep are judged by, and whether less or more of it is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from runner.records.columns import FIGURES
from runner.records.run_folder import Run, goal_of

DIRECTIONS: Mapping[str, str] = {"seconds": "min", **{figure.key: figure.goal for figure in FIGURES}}
"""Which way figures of a loader, and all times of a run, are better."""


@dataclass(frozen=True)
class Objective:
    """A key of runs, and whether its smallest or largest value is the best."""

    key: str
    goal: Literal["min", "max"]

    def value(self, run: Run) -> float | None:
        """What a run came to; None where it has no number there."""
        return run.number(self.key)

    def rank(self, run: Run) -> tuple[bool, float]:
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


def monitored(runs: Sequence[Run]) -> Objective:
    """What training itself monitors: `train.monitor` where the runs agree on one, else val_loss, else loss."""
    named = {(run.config.get("train") or {}).get("monitor", "auto") for run in runs}
    name = named.pop() if len(named) == 1 else "auto"
    asked = None if name == "auto" else objective_of(name, None)
    has_validation = any("val_loss" in row for run in runs for row in run.metrics)
    return asked or Objective("val_loss" if has_validation else "loss", "min")
