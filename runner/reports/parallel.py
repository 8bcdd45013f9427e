"""Parallel coordinates of a sweep: an axis for each varied key and for the results, and a line for each job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from runner.records.columns import in_unit, title_of
from runner.records.output import brief, csv_text
from runner.records.run_folder import is_number
from runner.reports.axes import Axis, can_draw, log_axis, names_axis, setting_axis, spans, value_axis
from runner.reports.sweep_charts import SETTING_DECADES, accuracy_of, keys_with_charts, searched_log
from runner.sweeps.results import SweepJob, SweepResults

WIDTH, HEIGHT, TOP, BOTTOM, LEFT, RIGHT = 1240, 320, 34, 22, 70, 90
"""The size of the drawing and its margins, in its unit."""

LEAST_JOBS = 3


@dataclass(frozen=True)
class Coordinate:
    """An axis with its title; `values`: for each job where it is, from 0 to 1, or None."""

    title: str
    axis: Axis
    values: Sequence[float | None]

    def ticks(self) -> list[tuple[float, str]]:
        """Where each tick is, from 0 to 1, and its text."""
        return [(round(self.axis.place(value), 4), text) for value, text in self.axis.ticks]


@dataclass(frozen=True)
class ParallelPlot:
    """The axes, the texts of the jobs, best job first, and a description."""

    coordinates: Sequence[Coordinate]
    texts: Sequence[str]
    has_best: bool

    @property
    def data(self) -> dict[str, Any]:
        """What the script of the page draws."""
        axes = [{"title": each.title, "ticks": each.ticks()} for each in self.coordinates]
        places = zip(*(each.values for each in self.coordinates), strict=True)
        lines = [
            {"text": text, "places": [None if place is None else round(place, 4) for place in of_job]}
            for text, of_job in zip(self.texts, places, strict=True)
        ]
        return {"axes": axes, "lines": lines, "hasBest": self.has_best}

    @property
    def svg(self) -> Markup:
        """The still drawing."""
        data = self.data
        longest = max(len(axis["title"]) for axis in data["axes"])
        gap = max((WIDTH - LEFT - RIGHT) / (len(data["axes"]) - 1), 12 + 7 * longest)
        width = LEFT + RIGHT + gap * (len(data["axes"]) - 1)
        high = HEIGHT - TOP - BOTTOM
        parts = []
        for number, line in reversed(list(enumerate(data["lines"]))):  # the best last, on top
            known = [(LEFT + gap * at, place) for at, place in enumerate(line["places"]) if place is not None]
            path = "L".join(f"{x:.1f} {TOP + high * (1 - place):.1f}" for x, place in known)
            parts.append(f'<path class="line {"rank1" if number == 0 and self.has_best else "rest"}" d="M{path}"/>')
        for at, axis in enumerate(data["axes"]):
            x = LEFT + gap * at
            parts.append(f'<path class="axis" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
            parts.append(f'<text class="title" x="{x:.1f}" y="16" text-anchor="middle">{escape(axis["title"])}</text>')
            parts += [
                f'<text x="{x + 6:.1f}" y="{TOP + high * (1 - place) + 4:.1f}">{escape(text)}</text>'
                for place, text in axis["ticks"]
            ]
        return Markup(f'<svg viewBox="0 0 {width:.0f} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>')


def parallel_plot(results: SweepResults) -> ParallelPlot | None:
    """The completed jobs that have the objective; None for fewer than three, or with a single varied key."""
    objective, keys = results.objective, keys_with_charts(results)
    jobs = [job for job in results.jobs if job.status == "completed" and can_draw(objective.value(job.run))]
    if len(jobs) < LEAST_JOBS or len(keys) < 2:
        return None
    results_shown = [column for column in (accuracy_of(results), objective.key) if column is not None]
    coordinates = [
        *(_of_key(key, jobs, searched=searched_log(results, key)) for key in keys),
        *(_of_result(column, jobs, results) for column in results_shown),
    ]
    texts = [
        f"job {job.planned.number}: {objective.key} {brief(objective.value(job.run))} ({job.setting})" for job in jobs
    ]
    return ParallelPlot(coordinates, texts, jobs[0] is results.best)


def _of_key(key: str, jobs: Sequence[SweepJob], *, searched: bool) -> Coordinate:
    settings = [job.planned.varied.get(key) for job in jobs]
    known = [value for value in settings if value is not None]
    if known and all(map(is_number, known)):
        axis = setting_axis(known, logarithmic=min(known) > 0 and (searched or spans(known, SETTING_DECADES)))
        return Coordinate(key, axis, [None if value is None else axis.place(value) for value in settings])
    names = list(dict.fromkeys(map(csv_text, known)))
    axis = names_axis(names)
    return Coordinate(
        key, axis, [None if each is None else axis.place(names.index(csv_text(each))) for each in settings]
    )


def _of_result(column: str, jobs: Sequence[SweepJob], results: SweepResults) -> Coordinate:
    found = [in_unit(column, results.value(job, column)) for job in jobs]
    values = [value if is_number(value) and can_draw(value) else None for value in found]
    known = [value for value in values if value is not None]
    axis = log_axis(known) if known and spans(known, 2) else value_axis(known)
    return Coordinate(title_of(column), axis, [None if value is None else axis.place(value) for value in values])
