"""Charts of the page of a run: learning curves from its metrics, and predicted over true values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isnan
from typing import Any

from markupsafe import Markup

from runner.messages import plural
from runner.records.columns import Objective
from runner.records.metrics import EPOCH, PHASE
from runner.reports.axes import can_draw, value_axis, whole_axis
from runner.reports.plot import Line, Plot, Style, key_svg

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class LegendEntry:
    """A sample of a line or mark, and what it stands for."""

    svg: Markup
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart: its title, the columns it shows, the plot, and a description for those who cannot see it.

    `unit`: what stands behind its numbers; `legend`: its lines, where the page has no legend for all charts.
    """

    title: str
    columns: tuple[str, ...]
    plot: Plot
    description: str
    unit: str = ""
    legend: Sequence[LegendEntry] = ()

    @property
    def svg(self) -> Markup:
        """The still drawing."""
        return self.plot.svg

    @property
    def data(self) -> dict[str, Any]:
        """What the script of the page draws."""
        return {**self.plot.data(), "unit": self.unit}


TRAINING, VALIDATION = Style("first", "circle"), Style("second", "square")
DOTS, EQUAL = Style("dots", "circle"), Style("equal")

SINGLE_COLUMNS = {
    "learning_rate": "learning rate",
    "images_per_second": "images per second",
    "wait_share": "share of time waiting for data",
}
"""Columns that exist only for training, and the titles of their charts."""

COLUMNS_NOT_DRAWN = (EPOCH, PHASE, "seconds", "samples_seen")

MAX_EPOCHS = 2000
"""The most epochs of a curve; a screen has no room for more."""


@dataclass(frozen=True)
class LearningCurves:
    """The charts of a table of metrics, and by title the columns without one, with the value that they have."""

    charts: Sequence[Chart]
    constant: Sequence[tuple[str, float]]
    best: Mapping[str, Any] | None
    starts: Sequence[int]
    """The first epochs of later phases."""
    every: int
    """1 where all epochs are drawn, 3 where 1 of every 3 is."""
    no_numbers: Sequence[str] = ()
    """The columns that have values which are no numbers, with how many, and the first epoch."""


def learning_curves(rows: Rows, objective: Objective | None = None) -> LearningCurves:
    """A chart for the loss and each metric, training and validation together; then learning rate, speed and waiting.

    A column with one value gets no chart, so a table of one row gets none. The best epoch by `objective` is marked.
    """
    best = None if objective is None else best_row(rows, objective)
    every = -(-len(rows) // MAX_EPOCHS) or 1
    kept = [row for number, row in enumerate(rows) if number % every == 0 or row is best or number == len(rows) - 1]
    columns = list(dict.fromkeys(name for row in kept for name in row if name not in COLUMNS_NOT_DRAWN))
    bases = [name for name in columns if name not in SINGLE_COLUMNS and not name.startswith("val_")]
    groups = [tuple(name for name in (base, f"val_{base}") if name in columns) for base in bases]
    groups += [(name,) for name in SINGLE_COLUMNS if name in columns]
    folded = [group for group in groups if len(rows) == 1 or _is_constant(rows, group)]
    return LearningCurves(
        [_learning_curve(group, kept, rows, best) for group in groups if group not in folded],
        [(column, value) for group in folded for column in group if (value := rows[-1].get(column)) is not None],
        best,
        phase_starts(rows),
        every,
        [text for group in groups for column in group if (text := _no_numbers(column, rows))],
    )


def best_row(rows: Rows, objective: Objective) -> Mapping[str, Any] | None:
    """The first row with the best value of the objective; None if no row has one, or only one row."""
    known = [row for row in rows if (value := row.get(objective.key)) is not None and not isnan(value)]
    choose = max if objective.goal == "max" else min
    return choose(known, key=lambda row: float(row[objective.key])) if known and len(rows) > 1 else None


def _is_constant(rows: Rows, group: tuple[str, ...]) -> bool:
    values = [{row.get(name) for row in rows if row.get(name) is not None} for name in group]
    return all(len(found) == 1 and can_draw(next(iter(found))) for found in values)


def _no_numbers(column: str, rows: Rows) -> str:
    epochs = [row["epoch"] for row in rows if (value := row.get(column)) is not None and not can_draw(value)]
    return f"{column} in {plural(len(epochs), 'epoch')}, first in epoch {epochs[0]}" if epochs else ""


def _learning_curve(group: tuple[str, ...], rows: Rows, all_rows: Rows, best: Mapping[str, Any] | None) -> Chart:
    epochs = [row["epoch"] or 0 for row in rows]
    names = ("training", "validation") if group[0] not in SINGLE_COLUMNS else ("",)
    factor, unit = (100, "%") if group[0] == "wait_share" else (1, "")
    columns = [[None if (value := row.get(name)) is None else value * factor for row in rows] for name in group]
    lines = [
        Line(name, epochs, values, style)
        for name, values, style in zip(names, columns, (TRAINING, VALIDATION), strict=False)
    ]
    title = SINGLE_COLUMNS.get(group[0], group[0].replace("_", " "))
    plot = Plot(
        whole_axis(epochs, "epoch"),
        value_axis([y for line in lines for _, y in line.points()]),
        lines,
        kind="curves",
        best=None if best is None else best["epoch"],
        times=_times(rows, all_rows),
        starts=phase_starts(all_rows),
    )
    legend = [LegendEntry(key_svg(line.style), line.name) for line in lines]
    return Chart(title, group, plot, _describe(group, all_rows), unit, legend)


def phase_starts(rows: Rows) -> list[int]:
    """The first epoch of each phase but the first."""
    return [row[EPOCH] for before, row in pairwise(rows) if row.get(PHASE) != before.get(PHASE)]


def _times(rows: Rows, all_rows: Rows) -> list[float]:
    """The seconds of training until the end of each epoch; nothing where they are not known."""
    seconds = [float(row["seconds"]) for row in all_rows if can_draw(row.get("seconds"))]
    if len(seconds) < len(all_rows):
        return []
    until = dict(zip((row["epoch"] for row in all_rows), accumulate(seconds), strict=True))
    return [until[row["epoch"]] for row in rows]


def _describe(group: tuple[str, ...], rows: Rows) -> str:
    texts = []
    for column in group:
        known = [value for row in rows if (value := row.get(column)) is not None]
        if known:
            ends = f"{column} goes from {known[0]:.4g} to {known[-1]:.4g}"
            texts.append(f"{ends} (lowest {min(known):.4g}, highest {max(known):.4g})")
    return "; ".join(texts)


def scatters(name: str, truth: Sequence[float], predicted: Sequence[float], ids: Sequence[str]) -> tuple[Chart, Chart]:
    """One point per sample: predicted over true values, and predicted minus true values over the true ones."""
    errors = [guess - value for value, guess in zip(truth, predicted, strict=True)]
    drawn = [value for value in (*truth, *predicted) if can_draw(value)] or [0, 1]
    ends = [min(drawn), max(drawn)]
    known = [value for value in truth if can_draw(value)] or [0, 1]
    across = [min(known), max(known)]
    return (
        _points(name, "predicted value", (truth, predicted, ids), Line("", ends, ends, EQUAL)),
        _points(f"{name}: errors", "predicted − true", (truth, errors, ids), Line("", across, [0, 0], EQUAL)),
    )


def _points(title: str, label: str, table: tuple[Sequence[float], Sequence[float], Sequence[str]], line: Line) -> Chart:
    truth, values, ids = table
    texts = [f"{each}: true {x:.5g}, {label} {y:.5g}" for x, y, each in zip(truth, values, ids, strict=True)]
    points = Line("", truth, values, DOTS, only_marks=True, texts=texts)
    places = [*line.points(), *points.points()]
    x_axis = value_axis([x for x, _ in places], "true value")
    plot = Plot(x_axis, value_axis([y for _, y in places], label), [line, points])
    description = "predicted over true values" if label == "predicted value" else "errors over true values"
    return Chart(title, (), plot, description)
