"""Columns of tables of runs: title, meaning and unit of the figures every run has, and which way a key is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan
from typing import Any

from runner.records.run_folder import Goal, RunFolder, goal_of_metric


@dataclass(frozen=True)
class Column:
    """A key of runs, the title and meaning of its column, which way it is better, and the size of its unit."""

    key: str
    title: str
    meaning: str
    goal: Goal
    unit: float = 1.0


COLUMNS = (
    Column("images_per_second", "images/s", "training images per second in the last epoch", "max"),
    Column("wait_share", "wait %", "share of the last epoch's training spent waiting for data", "min", 0.01),
    Column(
        "fit.cpu_seconds",
        "cpu s",
        "CPU time of training and validation in seconds, worker processes included",
        "min",
    ),
    Column(
        "fit.peak_memory_bytes",
        "peak MB",
        "peak memory of the job's process plus that of each worker process, in millions of bytes",
        "min",
        1e6,
    ),
    Column("fit.wait.first_batch_seconds", "first batch s", "seconds until the model had its first batch", "min"),
    Column("seconds.total", "seconds", "duration of the whole job, from start to end", "min"),
)
"""The columns that compare loaders next to the results of training, in order."""

BY_KEY: Mapping[str, Column] = {column.key: column for column in COLUMNS}

DIRECTIONS: Mapping[str, Goal] = {"seconds": "min", **{column.key: column.goal for column in COLUMNS}}
"""Which way these columns, and all durations, are better."""


SHARES = ("share", "accuracy", "iou", "dice", "auc", "precision", "recall", "f1_score")
"""Ends of the names of columns whose values are from 0 to 1."""


def title_of(key: str) -> str:
    """The title of a key's column: the key itself unless it is one of `COLUMNS`."""
    return BY_KEY[key].title if key in BY_KEY else key


def in_unit(key: str, value: Any) -> Any:
    """A value in the unit of its column's title."""
    return value / BY_KEY[key].unit if key in BY_KEY and isinstance(value, int | float) else value


def limits_of(key: str, values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest value that a column can have, in its unit, judged by its name and some values.

    >>> limits_of("val_loss", [0.3, 0.1]), limits_of("val_loss", [-2.5]), limits_of("evaluate.accuracy", [0.98])
    ((0.0, inf), (-inf, inf), (0.0, 1.0))
    """
    most = 1.0 / BY_KEY[key].unit if key in BY_KEY and key.endswith("share") else 1.0
    is_share = key.endswith(SHARES) and max(values) <= most
    return 0.0 if min(values) >= 0 else -inf, most if is_share else inf


def meanings(keys: tuple[str, ...]) -> dict[str, str]:
    """The meanings of those keys that are in `COLUMNS`, by title."""
    return {BY_KEY[key].title: BY_KEY[key].meaning for key in keys if key in BY_KEY}


@dataclass(frozen=True)
class Objective:
    """A key of runs, and whether its smallest or largest value is the best."""

    key: str
    goal: Goal

    def value(self, run: RunFolder) -> float | None:
        """The run's value, of a column that of its best epoch; None if it has no number there."""
        return run.number(self.key, self.goal)

    def rank(self, run: RunFolder) -> tuple[bool, float]:
        """A sort key: the best run first, runs without a number last."""
        value = self.value(run)
        known = value is not None and not isnan(value)
        return not known, 0.0 if value is None or not known else -value if self.goal == "max" else value


def objective_of(key: str | None, goal: str | None) -> Objective | None:
    """The objective of a key; None without a key, or if it is unknown which way the key is better."""
    direction = None if key is None else goal or goal_of_column(key)
    return None if key is None or direction is None else Objective(key, "max" if direction == "max" else "min")


def goal_of_column(key: str) -> Goal | None:
    """`min` or `max` for a metric, a duration or one of `COLUMNS`; None if it is unknown which way is better."""
    return DIRECTIONS.get(key) or DIRECTIONS.get(key.partition(".")[0]) or goal_of_metric(key)


def monitored(runs: Sequence[RunFolder]) -> Objective:
    """The metric that training monitors: `train.monitor` if the runs agree on one, else val_loss, else loss."""
    named = {(run.config.get("train") or {}).get("monitor", "auto") for run in runs}
    name = named.pop() if len(named) == 1 else "auto"
    known = next((goal for run in runs if (goal := run.goal_of(name))), None)
    configured = None if name == "auto" else objective_of(name, known)
    has_validation = any("val_loss" in row for run in runs for row in run.metrics)
    return configured or Objective("val_loss" if has_validation else "loss", "min")
