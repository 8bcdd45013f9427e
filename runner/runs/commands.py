"""Tables of runs: a line for each of many, some side by side, and all that tells two apart."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from runner.errors import RunnerError
from runner.records.columns import FIGURES, in_unit, title_of
from runner.records.diff import differences
from runner.records.output import write_rows
from runner.records.run_folder import Run, is_number
from runner.runs.query import Query

RESULTS = 4
"""How many results list shows by itself."""


def list_runs(query: Query) -> None:
    """A line for each run: the columns asked for, or its status, first results and what was typed."""
    runs = query.runs()
    shown = list(query.columns or ["status", *_results(runs)[:RESULTS], "seconds.total"])
    rows = [[run.name, *(run.value(key) for key in shown)] for run in runs]
    if query.columns is None:
        rows = [[*row, " ".join(run.document.get("overrides") or [])] for row, run in zip(rows, runs, strict=True)]
        shown = [*shown, "overrides"]
    write_rows(["run", *shown], rows, query.format)


def compare(query: Query) -> None:
    """The keys in which runs differ, their results, and what a loader is judged by, where they say.

    Raises `RunnerError` where there are not two.
    """
    runs = query.runs()
    if len(runs) < 2:
        raise RunnerError(f"compare needs at least two runs, got {len(runs)}; python -m runner.runs list names them")
    keys = [difference.key for difference in differences(runs) if difference.part == "config"]
    figures = [figure.key for figure in FIGURES if any(run.value(figure.key) is not None for run in runs)]
    shown = ["status", *keys, *_results(runs), *figures]
    rows = [[run.name, *(_plain_value(run, key) for key in shown)] for run in runs]
    if query.format == "table":
        rows = [[name, *map(in_unit, shown, values)] for name, *values in rows]
        shown = [*map(title_of, shown)]
    write_rows(["run", *shown], rows, query.format)


def diff(query: Query) -> None:
    """All that tells the two named runs apart."""
    runs = query.named()
    found = differences(runs)
    if not found and query.format == "table":
        sys.stdout.write(f"{runs[0].name} and {runs[1].name} differ in nothing but their times\n")
        return
    rows = [[difference.part, difference.key, *difference.values] for difference in found]
    write_rows(["part", "key", *(run.name for run in runs)], rows, query.format)


def _results(runs: Iterable[Run]) -> list[str]:
    """The numbers evaluation gave any of these runs, by the short keys of conditions."""
    results = [((run.document.get("results") or {}).get("evaluate") or {}) for run in runs]
    return list(dict.fromkeys(f"evaluate.{key}" for result in results for key in result if is_number(result[key])))


def _plain_value(run: Run, key: str) -> Any:
    """None for a whole section: its keys have columns of their own."""
    value = run.value(key)
    return None if isinstance(value, Mapping) else value
