"""How the jobs of a sweep learnt, one curve for each, the best in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.records.columns import monitored
from runner.records.output import brief
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
