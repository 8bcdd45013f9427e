"""What the page of all runs needs to put chosen ones side by side: keys that differ, best values, and curves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from runner.records.columns import goal_of_column, in_unit, title_of
from runner.records.dotted import flat
from runner.records.output import csv_text
from runner.records.run_folder import is_number
from runner.records.summary import MOST_POINTS, SummarizedRun, thinned
from runner.reports.plot import MARKS, Style, key_svg

CURVES_BYTES = 700_000
"""About what all curves together may take; with more runs, each has fewer points."""

LEAST_POINTS, NUMBER_BYTES = 8, 7
MOST_CURVES = 4
"""The most charts of curves: the losses, and the metrics that most runs have."""

ABSENT: list[Any] = [{}]
"""Stands for a section that a configuration lacks; none has this value."""

LETTERS = 100
"""The longest value of a key."""

IDENTITY = ("name", "tags", "note", "from_run", "resume", "rerun", "verify", "resume_inexact")
"""Keys that say which run it is, and are no difference between what runs did."""

STYLES = (
    Style("rank1", "circle"),
    Style("rank2", "square"),
    Style("rank3", "up"),
    Style("rank4", "diamond"),
    Style("rank5", "down"),
    Style("rank6", "circle"),
    Style("rank7", "square"),
    Style("rank8", "up"),
)
"""The lines of chosen runs, in the order of the table: they differ in dash and mark, not only in colour."""

MOST_CHOSEN = len(STYLES)


def comparison(runs: Sequence[SummarizedRun]) -> dict[str, Any]:
    """The data of the page: for each key, result and curve a list with the value of each run."""
    columns = _columns(runs)
    points = max(LEAST_POINTS, min(MOST_POINTS, CURVES_BYTES // (NUMBER_BYTES * (len(runs) * len(columns) or 1))))
    grids: dict[tuple[int, ...], int] = {}
    places = [thinned(len(run.summary["epochs"]), points) for run in runs]
    epochs = [tuple(run.summary["epochs"][at] for at in kept) for run, kept in zip(runs, places, strict=True)]
    return {
        "names": [run.config.get("name") or run.name for run in runs],
        "keys": _keys(runs),
        "results": _results(runs),
        "curves": [
            [column, [_curve(run, column, kept) for run, kept in zip(runs, places, strict=True)]] for column in columns
        ],
        "grid": [grids.setdefault(each, len(grids)) for each in epochs],
        "grids": list(grids),
        "styles": [[style.name, MARKS[style.mark], key_svg(style)] for style in STYLES],
    }


def _columns(runs: Sequence[SummarizedRun]) -> list[str]:
    """The columns that have a chart; the loss first, each before its validation."""
    counts = Counter(column for run in runs for column in run.summary["curves"])
    return [column for column, _ in counts.most_common(MOST_CURVES)]


def _curve(run: SummarizedRun, column: str, places: Sequence[int]) -> str | None:
    """The values of a curve as text, blank where there is none."""
    values = run.summary["curves"].get(column)
    return None if values is None else " ".join("" if values[at] is None else f"{values[at]:.4g}" for at in places)


def _keys(runs: Sequence[SummarizedRun]) -> list[list[Any]]:
    """Each key of the configuration that differs anywhere, its distinct values, and the number of that of each run.

    Most runs share most sections, so each distinct section is taken apart once.
    """
    keys: list[list[Any]] = []
    for section in dict.fromkeys(name for run in runs for name in run.config):
        if section in IDENTITY:
            continue
        encoded = [json.dumps(run.config.get(section, ABSENT)) for run in runs]
        distinct = {text: number for number, text in enumerate(dict.fromkeys(encoded))}
        if len(distinct) > 1:
            parts = [_texts(section, json.loads(text)) for text in distinct]
            of_runs = [distinct[text] for text in encoded]
            keys += [_key(key, parts, of_runs) for key in dict.fromkeys(key for part in parts for key in part)]
    return [key for key in keys if len(key[1]) > 1 or -1 in key[2]]


def _texts(section: str, value: Any) -> dict[str, str]:
    return {} if value == ABSENT else {key: _text(inner) for key, inner in flat({section: value})}


def _key(key: str, parts: Sequence[dict[str, str]], of_runs: Sequence[int]) -> list[Any]:
    """A key, its distinct values in these parts, and the number of that of each run; -1 without one."""
    values = list(dict.fromkeys(part[key] for part in parts if key in part))
    numbers = {text: number for number, text in enumerate(values)}
    of_parts = [numbers[part[key]] if key in part else -1 for part in parts]
    return [key, values, [of_parts[part] for part in of_runs]]


def _text(value: Any) -> str:
    text = "null" if value is None else f"{value:.6g}" if isinstance(value, float) else csv_text(value)
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"


def _results(runs: Sequence[SummarizedRun]) -> list[list[Any]]:
    """Each result, which way it is better, and the value of each run: best values of columns, then the evaluations."""
    columns = list(dict.fromkeys(column for run in runs for column in run.summary["curves"]))
    goals = {column: next((goal for run in runs if (goal := run.goal_of(column))), None) for column in columns}
    evaluated = [evaluation(run) for run in runs]
    rows = [
        [f"best {column}", goal, [_number(run.summary["metrics"].get(column, {}).get(goal or "last")) for run in runs]]
        for column, goal in goals.items()
    ]
    for key in dict.fromkeys(key for results in evaluated for key in results):
        goal = goals.get(key) or goal_of_column(key)
        rows.append([f"evaluate.{key}", goal, [_number(results.get(key)) for results in evaluated]])
    for key in ("images_per_second", "wait_share", "seconds.total"):
        values = [in_unit(key, run.value(key)) for run in runs]
        rows.append([title_of(key), goal_of_column(key), [*map(_number, values)]])
    return rows


def evaluation(run: SummarizedRun) -> dict[str, float]:
    """The numbers of the evaluation of a run."""
    results = (run.document.get("results") or {}).get("evaluate") or {}
    return {key: value for key, value in results.items() if is_number(value)}


def _number(value: Any) -> str | None:
    return f"{value:.5g}" if is_number(value) else None
