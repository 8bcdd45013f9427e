"""What came of each value of the keys a sweep varies, as pictures: every job is a point.

How the jobs of a sweep learnt, one curve for each, the best in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite, log10
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from runner.records.columns import in_unit, monitored, title_of
from runner.records.output import brief, plain
from runner.records.run_folder import is_number
from runner.reports.charts import (
    DASHED,
    FIRST,
    INK,
    MUTED,
    SECOND,
    Key,
    Panel,
    draw_line,
    inline_svg,
    lay_epochs,
    legend,
    new_axes,
)
from runner.sweeps.results import SweepJob, SweepResults
from runner.sweeps.results_table import SEED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

JOB: dict[str, Any] = {"color": FIRST, "linestyle": "", "marker": "o", "markersize": 5, "markerfacecolor": "none"}
BEST: dict[str, Any] = {"color": INK, "linestyle": "", "marker": "*", "markersize": 8}
MEAN: dict[str, Any] = {"color": SECOND, "linestyle": "", "marker": "s", "markersize": 4}
"""A job, the best one, and the mean over the seeds of a setting: told apart by shape as well as by colour."""

SPEED = "images_per_second"
"""What is drawn beside the objective: what a loader is judged by."""

BESIDE = 7
"""Points (1/72 inch) by which a mean stands to the right of its jobs."""

SETTING_DECADES, RESULT_DECADES = 1, 2
"""What numbers span where their axis is logarithmic: settings are often chosen so, results seldom."""

LEAST_GAP = 0.12
"""Of an axis, between neighbours that both can have their number written below."""

MOST_UPRIGHT = 24
"""Letters of all names of groups together that fit beside each other."""


@dataclass(frozen=True)
class _Setting:
    """One key, one figure, and the completed jobs that have both."""

    key: str
    figure: str
    jobs: tuple[SweepJob, ...]

    @cached_property
    def values(self) -> list[Any]:
        return [job.planned.varied[self.key] for job in self.jobs]

    @cached_property
    def results(self) -> list[float]:
        return [in_unit(self.figure, job.run.value(self.figure)) for job in self.jobs]

    @cached_property
    def is_numeric(self) -> bool:
        return all(map(is_number, self.values))

    @cached_property
    def names(self) -> list[str]:
        """What the groups are called, as the values come; none of numbers, which have an axis."""
        return [] if self.is_numeric else list(dict.fromkeys(map(plain, self.values)))

    @cached_property
    def places(self) -> list[float]:
        """Where each job stands along the key's axis."""
        return self.values if self.is_numeric else [self.names.index(plain(value)) for value in self.values]

    def repeats(self) -> list[list[int]]:
        """The jobs, by their positions, that differ in nothing but the seed, where there are several such."""
        groups: dict[str, list[int]] = {}
        for number, job in enumerate(self.jobs):
            setting = {key: value for key, value in job.planned.varied.items() if key != SEED}
            groups.setdefault(plain(setting), []).append(number)
        return [group for group in groups.values() if len(group) > 1]


def setting_charts(results: SweepResults) -> list[Panel]:
    """For each key that is varied, what came of its values: the objective, and how fast images were read."""
    settings = [_setting(results, key, figure) for key in _keys(results) for figure in _figures(results)]
    drawn = [setting for setting in settings if setting.jobs]
    return [_setting_panel(number, setting, results) for number, setting in enumerate(drawn)]


def setting_legend(results: SweepResults) -> list[Key]:
    """What the marks of these charts stand for."""
    marks = {"a job": JOB}
    if results.objective.key in _figures(results):
        marks["the best job"] = BEST
    if SEED in results.plan.varied and SEED not in _keys(results):
        marks["mean ± standard deviation over seeds"] = MEAN
    return legend("mark", marks)


def same_for_all(results: SweepResults) -> float | None:
    """What all of several completed jobs came to by the objective, which then is not drawn; None where they differ."""
    values = [results.objective.value(job.run) for job in results.jobs if job.status == "completed"]
    return values[0] if len(values) > 1 and len(set(values)) == 1 else None


def _figures(results: SweepResults) -> list[str]:
    drawn = dict.fromkeys((results.objective.key, SPEED))
    return [figure for figure in drawn if same_for_all(results) is None or figure != results.objective.key]


def _keys(results: SweepResults) -> list[str]:
    """The keys worth a chart: the seed only where there is no other."""
    return [key for key in results.plan.varied if key != SEED] or list(results.plan.varied)


def _setting(results: SweepResults, key: str, figure: str) -> _Setting:
    known = [job for job in results.jobs if job.status == "completed" and job.planned.varied.get(key) is not None]
    return _Setting(key, figure, tuple(job for job in known if _is_finite(job.run.number(figure))))


def _is_finite(number: float | None) -> bool:
    return number is not None and isfinite(number)


def _setting_panel(number: int, setting: _Setting, results: SweepResults) -> Panel:
    figure, axes = new_axes()
    axes.plot(setting.places, setting.results, **JOB)
    if setting.key != SEED:
        _draw_means(figure, axes, setting)
    if setting.figure == results.objective.key and setting.jobs[0] is results.best:
        axes.plot(setting.places[0], setting.results[0], **BEST)
    name = title_of(setting.figure)
    _lay_results(axes, setting.results)
    _lay_numbers(axes, setting.values) if setting.is_numeric else _lay_names(axes, setting.names)
    return Panel(
        f"{name} by {setting.key}", (setting.key,), inline_svg(figure, f"setting-{number}"), _setting_text(setting)
    )


def _draw_means(figure: Figure, axes: Axes, setting: _Setting) -> None:
    from matplotlib.transforms import offset_copy

    beside = offset_copy(axes.transData, figure, x=BESIDE, units="points")
    for group in setting.repeats():
        values = [setting.results[position] for position in group]
        place = setting.places[group[0]]
        axes.errorbar([place], [mean(values)], [stdev(values)], capsize=2.5, transform=beside, **MEAN)


def _lay_results(axes: Axes, values: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator

    if _spans(values, RESULT_DECADES):
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.margins(y=0.1)


def _lay_numbers(axes: Axes, values: Sequence[float]) -> None:
    """An axis on which every value has its number, where there is room for that."""
    logarithmic = _spans(values, SETTING_DECADES)
    if logarithmic:
        axes.set_xscale("log")
    told = sorted(set(values))
    places = [log10(value) for value in told] if logarithmic else told
    gaps = [after - before for before, after in pairwise(places)]
    if not gaps or min(gaps) >= LEAST_GAP * sum(gaps):
        axes.set_xticks(told, [_short(value) for value in told])
        axes.set_xticks([], minor=True)
    axes.margins(x=0.12)


def _lay_names(axes: Axes, names: Sequence[str]) -> None:
    upright = sum(map(len, names)) <= MOST_UPRIGHT
    how: dict[str, Any] = {} if upright else {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, **how)
    axes.set_xlim(-0.5, len(names) - 0.5)


def _short(value: float) -> str:
    return f"{value:g}"


def _spans(values: Sequence[float], decades: int) -> bool:
    return min(values) > 0 and max(values) >= 10**decades * min(values)


def _setting_text(setting: _Setting) -> str:
    """What somebody hears who cannot see the chart."""
    by_value: dict[str, list[float]] = {}
    for value, result in zip(setting.values, setting.results, strict=True):
        by_value.setdefault(plain(value), []).append(result)
    return "; ".join(f"{value}: {_range(results)}" for value, results in by_value.items())


def _range(results: Sequence[float]) -> str:
    low, high = brief(float(min(results))), brief(float(max(results)))
    return low if low == high else f"{low} to {high}"


LINES: tuple[dict[str, Any], ...] = (
    {"color": FIRST, "linestyle": "-", "marker": "*", "markersize": 7, "linewidth": 2.4},
    {"color": SECOND, "linestyle": DASHED, "marker": "s"},
    {"color": INK, "linestyle": (0, (1, 1.5)), "marker": "^"},
    {"color": FIRST, "linestyle": (0, (7, 2, 1.5, 2)), "marker": "D"},
    {"color": SECOND, "linestyle": (0, (1, 3)), "marker": "v"},
)
"""The best jobs, the very best first: told apart by dash and marker as well as by colour."""

OTHER: dict[str, Any] = {"color": MUTED, "linestyle": "-", "marker": "", "linewidth": 0.6, "alpha": 0.7}
"""All other jobs, which no legend could tell apart."""

MOST_LINES = 100
"""Jobs whose curves are drawn: more make a page slow, and show no more."""


def job_curves(results: SweepResults) -> list[Panel]:
    """The column that jobs are judged by, epoch by epoch, and the losses beside it; those that no job has are left out.

    Where the objective is no column of metrics.csv, it is what training monitored.
    """
    jobs = _drawn(results)
    columns = dict.fromkeys((results.objective.key, monitored([job.run for job in jobs]).key, "val_loss", "loss"))
    held = [column for column in columns if any(column in row for job in jobs for row in job.run.metrics)]
    return [_curve_panel(column, jobs) for column in held]


def job_legend(results: SweepResults) -> list[Key]:
    """Which line is which job."""
    jobs = _drawn(results)
    lines = {f"job {job.planned.number}: {job.setting}": line for job, line in zip(jobs, LINES, strict=False)}
    if len(jobs) > len(LINES):
        lines[f"the other {len(jobs) - len(LINES)}"] = OTHER
    return legend("job", lines)


def curves_left_out(results: SweepResults) -> int:
    """How many jobs have curves that are not drawn."""
    return max(0, sum(bool(job.run.metrics) for job in results.jobs) - MOST_LINES)


def _drawn(results: SweepResults) -> list[SweepJob]:
    return [job for job in results.jobs if job.run.metrics][:MOST_LINES]


def _curve_panel(column: str, jobs: Sequence[SweepJob]) -> Panel:
    figure, axes = new_axes()
    lines = [*LINES, *[OTHER] * len(jobs)]
    for job, line in reversed(list(zip(jobs, lines, strict=False))):  # the best is drawn last, above all others
        rows = job.run.metrics
        draw_line(axes, [row["epoch"] or 0 for row in rows], [row.get(column) for row in rows], line)
    lay_epochs(axes)
    return Panel(column.replace("_", " "), (column,), inline_svg(figure, f"jobs-{column}"), _curve_text(column, jobs))


def _curve_text(column: str, jobs: Sequence[SweepJob]) -> str:
    """What somebody hears who cannot see the chart: how the best jobs began and ended."""
    told = []
    for job in jobs[: len(LINES)]:
        known = [value for row in job.run.metrics if (value := row.get(column)) is not None]
        if known:
            told.append(f"job {job.planned.number} from {brief(float(known[0]))} to {brief(float(known[-1]))}")
    return "; ".join(told)
