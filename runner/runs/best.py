"""The folder of the best run, for scripts."""

from __future__ import annotations

import sys

from runner.errors import ConfigurationError, RunnerError
from runner.records.run_folder import goal_of
from runner.runs.query import Query


def best(query: Query) -> None:
    """Print the folder of the run with the most of the metric, or the least; of equals that of the newest."""
    if query.metric is None:
        raise ConfigurationError("best must be told what to go by; add metric=val_loss")
    goal = query.goal or goal_of(query.metric)
    if goal is None:
        raise ConfigurationError(f"goal must say whether more of {query.metric} is better: add goal=max or goal=min")
    scored = [(value, run) for run in query.runs() if (value := run.number(query.metric)) is not None]
    if not scored:
        raise RunnerError(f"no run that is meant has a number for {query.metric}")
    _, run = (max if goal == "max" else min)(reversed(scored), key=lambda pair: pair[0])
    sys.stdout.write(f"{run.folder}\n")
