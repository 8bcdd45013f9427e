"""summary.json: what tables and pages of many runs need of one run, in one small file that is read in 0.1 ms.

It is made from the other files and may be missing. It counts only while these files are as they were.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.records.columns import monitored
from runner.records.config_yaml import CONFIG_YAML
from runner.records.files import to_json, write_atomically
from runner.records.metrics import EPOCH, FACTS, METRICS_CSV
from runner.records.record import RUN_JSON
from runner.records.run_folder import Completion, Goal, RunFolder
from runner.records.run_names import all_runs
from runner.records.secret_keys import masked

SUMMARY_JSON = "summary.json"
VERSION = 2
"""Raised when the content of the file changes; a file of another version does not count."""

MADE_FROM = (RUN_JSON, CONFIG_YAML, METRICS_CSV)

LARGE = ("argv", "code", "packages", "environment", "machine", "distribute", "resumed", "verified")
"""Sections of run.json that a summary leaves out."""

MOST_LETTERS = 2000
"""The longest text, or list as text, that a summary holds; longer ones are left out."""

MOST_POINTS, MOST_CURVES = 60, 8
"""The most values of a curve, and the most curves; a chart that compares runs has no room for more."""

Summary = dict[str, Any]

Stamps = list[list[int] | None]
"""The sizes and times of files; None for one that is missing."""


class SummarizedRun(RunFolder):
    """A run as its summary has it, without secrets; what that leaves out is read from the files."""

    def __init__(self, path: Path, summary: Summary) -> None:
        super().__init__(path)
        self.summary = summary
        self.document = summary["document"]
        self.config = summary["config"]
        self.secrets = []

    @cached_property
    def whole(self) -> RunFolder:
        """The run as its files have it."""
        return RunFolder(self.path)

    def completed(self, complete: Completion) -> RunFolder:
        """As for any run, from its files."""
        return self.whole.completed(complete)

    def value(self, key: str, goal: Goal | None = None) -> Any:
        """As for any run."""
        found = super().value(key, goal)
        is_part = found is None or isinstance(found, Mapping)
        return self.whole.value(key, goal) if is_part and self._lacks(key) else found

    def _lacks(self, key: str) -> bool:
        """Whether the summary leaves out a dotted key, what it is a part of, or a part of it."""
        names, key = [f"{name}." for name in self.summary["left_out"]], f"{key}."
        return any(key.startswith(name) or name.startswith(key) for name in names)

    def _metric(self, column: str, goal: Goal | None) -> float | None:
        known: Mapping[str, Any] = self.summary["metrics"].get(column, {})
        value = known.get(goal or self.goal_of(column) or "last", known.get("last"))
        return value if value is None else float(value) if isinstance(value, str) else value


def summarized_runs(root: Path) -> list[RunFolder]:
    """`all_runs`, from their summaries where these count."""
    found = [(run, read_summary(run.path)) for run in all_runs(root)]
    return [run if summary is None else SummarizedRun(run.path, summary) for run, summary in found]


def summarize(run: RunFolder, *, write: bool) -> SummarizedRun:
    """The run as its summary has it; one that is missing or does not count is made, and with `write` written.

    A run that still runs will change; its summary is not written.
    """
    summary = read_summary(run.path)
    if summary is None:
        stamps = stamps_of(run.path)
        summary = {"version": VERSION, "made_from": stamps, **_summary(run)}
        if write and run.status != "running":
            with suppress(RunnerError):  # it is a convenience; the folder may be read-only
                content = to_json(summary, indent=None)
                write_atomically(run.path / SUMMARY_JSON, content, overwrite=True, durable=False)
    return SummarizedRun(run.path, summary)


def read_summary(folder: Path) -> Summary | None:
    """The summary of the run in `folder`; None if there is none, or if the files have changed since."""
    try:
        summary: Summary = json.loads((folder / SUMMARY_JSON).read_bytes())
        counts = summary["version"] == VERSION and summary["made_from"] == stamps_of(folder)
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return summary if counts else None


def stamps_of(folder: Path) -> Stamps:
    """The sizes and times of the files that a summary is made from; None for one that is missing."""
    stamps: Stamps = []
    for name in MADE_FROM:
        try:
            status = os.stat(f"{folder}/{name}")  # noqa: PTH116  (lists of runs do this thousands of times)
            stamps.append([status.st_size, status.st_mtime_ns])
        except OSError:
            stamps.append(None)
    return stamps


def _summary(run: RunFolder) -> Summary:
    left_out = [name for name in LARGE if run.document.get(name)]
    document = {name: {} if name in left_out else value for name, value in run.document.items()}
    kept = {
        "document": _small(masked(document, run.secrets), "", left_out),
        "config": _small(masked(run.config, run.secrets), "", left_out),
    }
    return {**kept, "left_out": left_out, **_learnt(run)}


def _small(value: Any, key: str, left_out: list[str]) -> Any:
    """A mapping without its long texts and lists, at every level; their dotted keys are added to `left_out`."""
    small = {}
    for name, item in value.items():
        inner = f"{key}.{name}" if key else str(name)
        if isinstance(item, Mapping):
            small[name] = _small(item, inner, left_out)
        elif isinstance(item, str | list) and len(str(item)) > MOST_LETTERS:
            left_out.append(inner)
        else:
            small[name] = item
    return small


def _learnt(run: RunFolder) -> Summary:
    """What metrics.csv says: of each column its ends, the best epoch, and thinned curves."""
    rows, objective = run.metrics, monitored([run])
    names = list(dict.fromkeys(name for row in rows for name in row if name != EPOCH))
    curves, places = [name for name in names if name not in FACTS][:MOST_CURVES], thinned(len(rows), MOST_POINTS)
    numbers = [
        (value, row[EPOCH]) for row in rows if (value := row.get(objective.key)) is not None and not isnan(value)
    ]
    best = (max if objective.goal == "max" else min)(numbers, key=lambda pair: pair[0], default=None)
    return {
        "epochs": [rows[place][EPOCH] for place in places],
        "objective": [objective.key, objective.goal, *best] if best else None,
        "metrics": {name: _ends([value for row in rows if (value := row.get(name)) is not None]) for name in names},
        "curves": {name: [_brief(rows[place].get(name)) for place in places] for name in curves},
    }


def _ends(values: Sequence[float]) -> dict[str, float]:
    """The smallest, largest and last of the values of a column; NaN is only ever the last."""
    numbers = [value for value in values if not isnan(value)]
    ends = {"min": min(numbers), "max": max(numbers)} if numbers else {}
    return {**ends, "last": values[-1]} if values else {}


def _brief(value: float | None) -> float | None:
    """A number for a chart, with five significant digits; None for what no chart shows."""
    return None if value is None or not isfinite(value) else float(f"{value:.5g}")


def thinned(count: int, most: int) -> list[int]:
    """At most `most` of `count` places with the first and the last: every first, second, fourth and so on.

    So curves of unlike lengths have most places in common.

    >>> thinned(3, 5), thinned(100, 5)
    ([0, 1, 2], [0, 32, 64, 96, 99])
    """
    step = 1
    while count > most and (count - 2) // step + 2 > most:
        step *= 2
    return [*range(0, count - 1, step), *([count - 1] if count else [])]
