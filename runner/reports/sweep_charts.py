"""Charts of a sweep: results over the values of each varied key, and the learning curves of the jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from statistics import mean, stdev
from typing import Any

from runner.records.columns import in_unit, limits_of, monitored, title_of
from runner.records.output import brief, csv_text
from runner.records.run_folder import Goal, is_number
from runner.reports.axes import Axis, log_axis, names_axis, setting_axis, spans, value_axis, whole_axis
from runner.reports.charts import Chart, LegendEntry
from runner.reports.plot import Line, Plot, Style, key_svg
from runner.sweeps.results import SweepJob, SweepResults
from runner.sweeps.results_table import repeats
from runner.sweeps.sweep_plan import REPEATS

JOB, BEST, MEAN = Style("job", "circle"), Style("best", "star"), Style("mean", "square")
"""A job, the best job, and the mean over the seeds of a setting: they differ in shape, not only in colour."""

SPEED = "images_per_second"
"""The column that has charts next to those of the objective."""

SETTING_DECADES, RESULT_DECADES = 1, 2
"""Decades from which an axis is logarithmic; settings are more often chosen on a logarithmic scale than results."""


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
    pairs = [(key, column) for key in keys_with_charts(results) for column in _columns(results)]
    drawn = [setting for pair in pairs if (setting := _setting_results(results, *pair)).jobs]
    return [_setting_chart(setting, results) for setting in drawn]


def setting_legend(results: SweepResults) -> list[LegendEntry]:
    """The markers of these charts."""
    marks = {"a job": JOB}
    if results.objective.key in _columns(results) and results.plan.members == 1:
        marks["the best job"] = BEST
    if (over := repeats(results)) and over[0] not in keys_with_charts(results):
        marks[f"mean ± standard deviation over {' and '.join(REPEATS[key] for key in over)}"] = MEAN
    return [LegendEntry(key_svg(mark, only_marks=True), text) for text, mark in marks.items()]


def same_for_all(results: SweepResults) -> float | None:
    """The objective if all of several completed jobs have the same value, so that a chart is pointless; else None."""
    values = [results.objective.value(job.run) for job in results.jobs if job.status == "completed"]
    return values[0] if len(values) > 1 and len(set(values)) == 1 else None


def _columns(results: SweepResults) -> list[str]:
    columns = dict.fromkeys(filter(None, (results.objective.key, accuracy_of(results), SPEED)))
    return [column for column in columns if same_for_all(results) is None or column != results.objective.key]


def accuracy_of(results: SweepResults) -> str | None:
    """The column of an accuracy that differs between jobs and is not the objective, that of the evaluation first."""
    columns = [column for column in results.columns if column.endswith("accuracy") and column != results.objective.key]
    jobs = [job.run for job in results.jobs if job.status == "completed"]
    differing = [column for column in columns if len({run.value(column) for run in jobs}) > 1]
    return next(iter(sorted(differing, key=lambda column: not column.startswith("evaluate."))), None)


def searched_log(results: SweepResults, key: str) -> bool:
    """Whether a search drew the values of a key on a logarithmic scale: `key=tag(log,interval(1e-5,1e-1))`."""
    search = results.plan.search
    return search is not None and any(text.startswith(f"{key}=tag(log,") for text in search.typed)


def keys_with_charts(results: SweepResults) -> list[str]:
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


def _setting_chart(setting: _SettingResults, results: SweepResults) -> Chart:
    is_objective = setting.column == results.objective.key
    best = [0] if is_objective and setting.jobs[0] is results.best else []
    lines = [
        _marks("a job", setting, [index for index in range(len(setting.jobs)) if index not in best], JOB),
        *([_mean_line(setting)] if setting.key not in REPEATS else []),
        _marks("the best job", setting, best, BEST),
    ]
    x_axis = names_axis(setting.names)
    if setting.is_numeric:
        is_log = searched_log(results, setting.key) and min(setting.settings) > 0
        x_axis = setting_axis(setting.settings, logarithmic=is_log or spans(setting.settings, SETTING_DECADES))
    y_axis = _result_axis([end for line in lines for end in _ends(line)])
    title = f"{title_of(setting.column)} by {setting.key}"
    return Chart(title, (setting.key,), Plot(x_axis, y_axis, lines), _describe_setting(setting))


def _marks(name: str, setting: _SettingResults, indices: Sequence[int], style: Style) -> Line:
    """The jobs with these indices, each with its number, setting and result."""
    title, jobs = title_of(setting.column), [setting.jobs[index] for index in indices]
    values = [setting.results[index] for index in indices]
    texts = [
        f"job {job.planned.number}: {title} {brief(float(value))} ({job.short_setting})"
        for job, value in zip(jobs, values, strict=True)
    ]
    return Line(name, [setting.positions[index] for index in indices], values, style, only_marks=True, texts=texts)


def _mean_line(setting: _SettingResults) -> Line:
    """The mean over the seeds of each setting; the page draws it right of its jobs.

    The bars of deviation end where values can be no lower or higher.
    """
    groups = setting.repeats()
    values = [[setting.results[index] for index in group] for group in groups]
    middles, deviations = [mean(each) for each in values], [stdev(each) for each in values]
    least, most = limits_of(setting.column, setting.results)
    texts = [
        f"mean of {len(each)} jobs: {brief(float(middle))} ± {brief(float(deviation))}"
        for each, middle, deviation in zip(values, middles, deviations, strict=True)
    ]
    places = [setting.positions[group[0]] for group in groups]
    bars = [
        (max(middle - deviation, least), min(middle + deviation, most))
        for middle, deviation in zip(middles, deviations, strict=True)
    ]
    return Line("mean", places, middles, MEAN, only_marks=True, texts=texts, bars=bars)


def _ends(line: Line) -> Iterator[float]:
    """The values of a line, with the ends of their bars."""
    yield from (y for _, y in line.points())
    yield from (end for bar in line.bars for end in bar)


def _result_axis(values: Sequence[float]) -> Axis:
    return log_axis(values) if spans(values, RESULT_DECADES) else value_axis(values)


def _describe_setting(setting: _SettingResults) -> str:
    by_value: dict[str, list[float]] = {}
    for value, result in zip(setting.settings, setting.results, strict=True):
        by_value.setdefault(csv_text(value), []).append(result)
    return "; ".join(f"{value}: {_range(results)}" for value, results in by_value.items())


def _range(results: Sequence[float]) -> str:
    low, high = brief(float(min(results))), brief(float(max(results)))
    return low if low == high else f"{low} to {high}"


BEST_LINES = (
    Style("rank1", "star"),
    Style("rank2", "square"),
    Style("rank3", "up"),
    Style("rank4", "diamond"),
    Style("rank5", "down"),
)
"""The lines of the best jobs, best first: they differ in dash and mark, not only in colour."""

OTHER_LINE = Style("rest")
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
    lines = {
        f"job {job.planned.number}: {job.short_setting}": line for job, line in zip(jobs, BEST_LINES, strict=False)
    }
    if len(jobs) > len(BEST_LINES):
        lines[f"{len(jobs) - len(BEST_LINES)} more"] = OTHER_LINE
    return [LegendEntry(key_svg(line), text) for text, line in lines.items()]


def curves_left_out(results: SweepResults) -> int:
    """The number of jobs whose curves are not drawn."""
    return max(0, sum(bool(job.run.metrics) for job in results.jobs) - MAX_CURVES)


def _jobs_with_curves(results: SweepResults) -> list[SweepJob]:
    return [job for job in results.jobs if job.run.metrics][:MAX_CURVES]


def _curve_chart(column: str, jobs: Sequence[SweepJob]) -> Chart:
    styles = [*BEST_LINES, *[OTHER_LINE] * len(jobs)]
    lines = [_curve(column, job, style) for job, style in zip(jobs, styles, strict=False)]
    values = [y for line in lines for _, y in line.points()]
    epochs = [x for line in lines for x in line.x]
    # The best is drawn last, on top.
    plot = Plot(whole_axis(epochs, "epoch"), value_axis(values), lines[::-1], kind="curves")
    return Chart(column.replace("_", " "), (column,), plot, _describe_curves(column, jobs))


def _curve(column: str, job: SweepJob, style: Style) -> Line:
    rows = job.run.metrics
    name = f"job {job.planned.number} ({job.short_setting})"
    return Line(name, [row["epoch"] or 0 for row in rows], [row.get(column) for row in rows], style)


def _describe_curves(column: str, jobs: Sequence[SweepJob]) -> str:
    """How the curves of the best jobs begin and end."""
    texts = []
    for job in jobs[: len(BEST_LINES)]:
        known = [value for row in job.run.metrics if (value := row.get(column)) is not None]
        if known:
            texts.append(f"job {job.planned.number} from {brief(float(known[0]))} to {brief(float(known[-1]))}")
    return "; ".join(texts)
