"""What a loader is judged by beside the results of training: figures that every run has, as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


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
