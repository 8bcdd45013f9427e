"""Charts of a sweep: results over the values of each varied key, and the learning curves of the jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite, log10
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from runner.records.columns import in_unit, monitored, title_of
from runner.records.output import brief, csv_text
from runner.records.run_folder import Goal, is_number
from runner.reports.charts import (
    DASHED,
    FIRST,
    INK,
    MUTED,
    SECOND,
    Chart,
    LegendEntry,
    chart_svg,
    draw_line,
    label_epochs,
    legend,
    new_axes,
)
from runner.sweeps.results import SweepJob, SweepResults
from runner.sweeps.results_table import REPEATS, repeats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

JOB: dict[str, Any] = {"color": FIRST, "linestyle": "", "marker": "o", "markersize": 5, "markerfacecolor": "none"}
BEST: dict[str, Any] = {"color": INK, "linestyle": "", "marker": "*", "markersize": 8}
MEAN: dict[str, Any] = {"color": SECOND, "linestyle": "", "marker": "s", "markersize": 4}
"""A job, the best job, and the mean over the seeds of a setting: they differ in shape, not only in colour."""

SPEED = "images_per_second"
"""The column that has charts next to those of the objective."""

MEAN_OFFSET_POINTS = 7
"""Points (1/72 inch) between the jobs and their mean."""

SETTING_DECADES, RESULT_DECADES = 1, 2
"""Decades from which an axis is logarithmic; settings are more often chosen on a logarithmic scale than results."""

MIN_TICK_GAP = 0.12
"""The least distance, as a share of the axis, between values that each have a tick."""

MAX_UPRIGHT_LETTERS = 24
"""Letters of all names together that fit side by side."""


@dataclass(frozen=True)
class _SettingResults:
    """The completed jobs that have a value for one key and for one column."""

    key: str
    column: str
    goal: Goal | None
    jobs: tuple[SweepJob, ...]

    @cached_property
    def settings(self) -> list[Any]:
        return [job.planned.varied[self.key] for job in self.jobs]

    @cached_property
    def results(self) -> list[float]:
        return [in_unit(self.column, job.run.value(self.column, self.goal)) for job in self.jobs]

    @cached_property
    def is_numeric(self) -> bool:
        return all(map(is_number, self.settings))

    @cached_property
    def names(self) -> list[str]:
        """The names on the axis, in order of appearance; none for numbers."""
        return [] if self.is_numeric else list(dict.fromkeys(map(csv_text, self.settings)))

    @cached_property
    def positions(self) -> list[float]:
        """The position of each job on the axis of the key."""
        return self.settings if self.is_numeric else [self.names.index(csv_text(value)) for value in self.settings]

    def repeats(self) -> list[list[int]]:
        """Groups of two or more jobs, by index, that differ only in the seed or the fold."""
        groups: dict[str, list[int]] = {}
        for number, job in enumerate(self.jobs):
            setting = {key: value for key, value in job.planned.varied.items() if key not in REPEATS}
            groups.setdefault(csv_text(setting), []).append(number)
        return [group for group in groups.values() if len(group) > 1]


def setting_charts(results: SweepResults) -> list[Chart]:
    """For each varied key, charts of the objective and of the speed over its values."""
    pairs = [(key, column) for key in _keys(results) for column in _columns(results)]
    drawn = [setting for pair in pairs if (setting := _setting_results(results, *pair)).jobs]
    return [_setting_chart(number, setting, results) for number, setting in enumerate(drawn)]


def setting_legend(results: SweepResults) -> list[LegendEntry]:
    """The markers of these charts."""
    marks = {"a job": JOB}
    if results.objective.key in _columns(results):
        marks["the best job"] = BEST
    if (over := repeats(results)) and over[0] not in _keys(results):
        marks[f"mean ± standard deviation over {' and '.join(REPEATS[key] for key in over)}"] = MEAN
    return legend("mark", marks)


def same_for_all(results: SweepResults) -> float | None:
    """The objective if all of several completed jobs have the same value, so that a chart is pointless; else None."""
    values = [results.objective.value(job.run) for job in results.jobs if job.status == "completed"]
    return values[0] if len(values) > 1 and len(set(values)) == 1 else None


def _columns(results: SweepResults) -> list[str]:
    columns = dict.fromkeys((results.objective.key, SPEED))
    return [column for column in columns if same_for_all(results) is None or column != results.objective.key]


def _keys(results: SweepResults) -> list[str]:
    """The keys that have a chart; seed and fold only if no other key is varied."""
    return [key for key in results.plan.varied if key not in REPEATS] or list(results.plan.varied)


def _setting_results(results: SweepResults, key: str, column: str) -> _SettingResults:
    completed = [job for job in results.jobs if job.status == "completed" and job.planned.varied.get(key) is not None]
    goal = results.objective.goal if column == results.objective.key else None
    return _SettingResults(
        key, column, goal, tuple(job for job in completed if _is_finite(job.run.number(column, goal)))
    )


def _is_finite(number: float | None) -> bool:
    return number is not None and isfinite(number)


def _setting_chart(number: int, setting: _SettingResults, results: SweepResults) -> Chart:
    figure, axes = new_axes()
    axes.plot(setting.positions, setting.results, **JOB)
    if setting.key not in REPEATS:
        _draw_means(figure, axes, setting)
    if setting.column == results.objective.key and setting.jobs[0] is results.best:
        axes.plot(setting.positions[0], setting.results[0], **BEST)
    _scale_results(axes, setting.results)
    if setting.is_numeric:
        _label_numbers(axes, setting.settings)
    else:
        _label_names(axes, setting.names)
    title = f"{title_of(setting.column)} by {setting.key}"
    return Chart(title, (setting.key,), chart_svg(figure, axes, f"setting-{number}"), _describe_setting(setting))


def _draw_means(figure: Figure, axes: Axes, setting: _SettingResults) -> None:
    from matplotlib.transforms import offset_copy

    offset = offset_copy(axes.transData, figure, x=MEAN_OFFSET_POINTS, units="points")
    for group in setting.repeats():
        values = [setting.results[index] for index in group]
        position, middle, deviation = setting.positions[group[0]], mean(values), stdev(values)
        axes.errorbar([position], [middle], [deviation], capsize=2.5, transform=offset, **MEAN)
        # Matplotlib leaves shifted error bars out of the limits of the axis.
        axes.update_datalim([(position, middle - deviation), (position, middle + deviation)])


def _scale_results(axes: Axes, values: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator

    if _spans(values, RESULT_DECADES):
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.margins(y=0.1)


def _label_numbers(axes: Axes, values: Sequence[float]) -> None:
    """Put a tick at every value if there is room for the numbers."""
    logarithmic = _spans(values, SETTING_DECADES)
    if logarithmic:
        axes.set_xscale("log")
    distinct = sorted(set(values))
    positions = [log10(value) for value in distinct] if logarithmic else distinct
    gaps = [after - before for before, after in pairwise(positions)]
    if not gaps or min(gaps) >= MIN_TICK_GAP * sum(gaps):
        axes.set_xticks(distinct, [f"{value:g}" for value in distinct])
        axes.set_xticks([], minor=True)
    axes.margins(x=0.12)


def _label_names(axes: Axes, names: Sequence[str]) -> None:
    upright = sum(map(len, names)) <= MAX_UPRIGHT_LETTERS
    style: dict[str, Any] = {} if upright else {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, **style)
    axes.set_xlim(-0.5, len(names) - 0.5)


def _spans(values: Sequence[float], decades: int) -> bool:
    return min(values) > 0 and max(values) >= 10**decades * min(values)


def _describe_setting(setting: _SettingResults) -> str:
    by_value: dict[str, list[float]] = {}
    for value, result in zip(setting.settings, setting.results, strict=True):
        by_value.setdefault(csv_text(value), []).append(result)
    return "; ".join(f"{value}: {_range(results)}" for value, results in by_value.items())


def _range(results: Sequence[float]) -> str:
    low, high = brief(float(min(results))), brief(float(max(results)))
    return low if low == high else f"{low} to {high}"


BEST_LINES: tuple[dict[str, Any], ...] = (
    {"color": FIRST, "linestyle": "-", "marker": "*", "markersize": 7, "linewidth": 2.4},
    {"color": SECOND, "linestyle": DASHED, "marker": "s"},
    {"color": INK, "linestyle": (0, (1, 1.5)), "marker": "^"},
    {"color": FIRST, "linestyle": (0, (7, 2, 1.5, 2)), "marker": "D"},
    {"color": SECOND, "linestyle": (0, (1, 3)), "marker": "v"},
)
"""The lines of the best jobs, best first: they differ in dash and marker, not only in colour."""

OTHER_LINE: dict[str, Any] = {"color": MUTED, "linestyle": "-", "marker": "", "linewidth": 0.6, "alpha": 0.7}
"""The line of all other jobs."""

MAX_CURVES = 100
"""The most jobs whose curves are drawn; more make the page slow and show nothing more."""


def job_curves(results: SweepResults) -> list[Chart]:
    """Charts of the objective and of the losses by epoch, with a curve for each job.

    If the objective is no column of metrics.csv, what training monitored takes its place.
    """
    jobs = _jobs_with_curves(results)
    columns = dict.fromkeys((results.objective.key, monitored([job.run for job in jobs]).key, "val_loss", "loss"))
    present = [column for column in columns if any(column in row for job in jobs for row in job.run.metrics)]
    return [_curve_chart(column, jobs) for column in present]


def job_legend(results: SweepResults) -> list[LegendEntry]:
    """The lines of the jobs."""
    jobs = _jobs_with_curves(results)
    lines = {f"job {job.planned.number}: {job.setting}": line for job, line in zip(jobs, BEST_LINES, strict=False)}
    if len(jobs) > len(BEST_LINES):
        lines[f"{len(jobs) - len(BEST_LINES)} more"] = OTHER_LINE
    return legend("job", lines)


def curves_left_out(results: SweepResults) -> int:
    """The number of jobs whose curves are not drawn."""
    return max(0, sum(bool(job.run.metrics) for job in results.jobs) - MAX_CURVES)


def _jobs_with_curves(results: SweepResults) -> list[SweepJob]:
    return [job for job in results.jobs if job.run.metrics][:MAX_CURVES]


def _curve_chart(column: str, jobs: Sequence[SweepJob]) -> Chart:
    figure, axes = new_axes()
    lines = [*BEST_LINES, *[OTHER_LINE] * len(jobs)]
    for job, line in reversed(list(zip(jobs, lines, strict=False))):  # draw the best last, on top
        rows = job.run.metrics
        draw_line(axes, [row["epoch"] or 0 for row in rows], [row.get(column) for row in rows], line)
    label_epochs(axes)
    svg = chart_svg(figure, axes, f"jobs-{column}")
    return Chart(column.replace("_", " "), (column,), svg, _describe_curves(column, jobs))


def _describe_curves(column: str, jobs: Sequence[SweepJob]) -> str:
    """How the curves of the best jobs begin and end."""
    texts = []
    for job in jobs[: len(BEST_LINES)]:
        known = [value for row in job.run.metrics if (value := row.get(column)) is not None]
        if known:
            texts.append(f"job {job.planned.number} from {brief(float(known[0]))} to {brief(float(known[-1]))}")
    return "; ".join(texts)
