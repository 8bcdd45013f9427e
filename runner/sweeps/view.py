"""The progress of a sweep on screen: a live table in a terminal, elsewhere one line for each job that ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, JustifyMethod
from rich.live import Live
from rich.table import Table

from runner.records.output import brief, csv_text
from runner.records.run_folder import RunFolder
from runner.sweeps.process import JobOutcome
from runner.sweeps.schedule import SweepObserver
from runner.sweeps.sweep_plan import PlannedJob, SweepPlan

REFRESH_SECONDS = 1.0
"""How often the live table reads the files of running jobs."""

MIN_WIDTHS = {"status": len("completed"), "loss": len("0.1234")}
"""Widths that keep columns in place while their cells grow."""


@contextmanager
def view_of(plan: SweepPlan, count: int, console: Console | None = None) -> Iterator[SweepObserver]:
    """The view of a sweep that will run `count` jobs."""
    console = console or Console(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:
        yield LineView(count, console)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield TableView(plan, count, live)


class LineView:
    """Prints a line for each job that ends."""

    def __init__(self, count: int, console: Console) -> None:
        self.count, self.console = count, console
        self.jobs: dict[int, PlannedJob] = {}
        self.done = 0

    def on_start(self, job: PlannedJob) -> None:
        """Remember the job for its line."""
        self.jobs[job.number] = job.masked()

    def on_end(self, outcome: JobOutcome) -> None:
        """Print how the job ended."""
        self.done += 1
        job, width = self.jobs[outcome.number], len(str(self.count))
        text = f"{self.done:>{width}}/{self.count}  job {job.number}  {outcome.ended:<11}  {outcome.seconds:.1f} s"
        self.console.print(f"{'':<10}{text}  {' '.join(job.overrides)}")

    def on_tick(self) -> None:
        """Do nothing."""


class TableView:
    """Shows a row for each job that runs or has ended, and the number of jobs that wait."""

    def __init__(self, plan: SweepPlan, count: int, live: Live) -> None:
        self.plan, self.live, self.count = plan, live, count
        self.jobs: dict[int, PlannedJob] = {}
        self.running: dict[int, float] = {}
        self.outcomes: dict[int, JobOutcome] = {}
        self._drawn = 0.0

    def on_start(self, job: PlannedJob) -> None:
        """Add the row of the job."""
        self.jobs[job.number] = job.masked()
        self.running[job.number] = time.monotonic()
        self._draw()

    def on_end(self, outcome: JobOutcome) -> None:
        """Show in the row of the job how it ended."""
        del self.running[outcome.number]
        self.outcomes[outcome.number] = outcome
        self._draw()

    def on_tick(self) -> None:
        """Refresh the table, at most once in `REFRESH_SECONDS`."""
        if time.monotonic() - self._drawn > REFRESH_SECONDS:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        waiting = self.count - len(self.running) - len(self.outcomes)
        caption = f"{len(self.outcomes)} of {self.count} done, {waiting} waiting"
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), caption=caption)
        for column in ("job", *self.plan.varied, "status", "seconds", "epoch", "loss", "val_loss"):
            justify: JustifyMethod = "right" if column in ("seconds", "epoch", "loss", "val_loss") else "left"
            table.add_column(column, justify=justify, min_width=MIN_WIDTHS.get(column))
        # As many rows as fit, running jobs first of all; sorted by number, so that a row keeps its place.
        numbers = sorted([*self.outcomes, *self.running][-max(3, self.live.console.height - 5) :])
        for number in numbers:
            table.add_row(*self._row(self.jobs[number]))
        self.live.update(table, refresh=True)

    def _row(self, job: PlannedJob) -> list[str]:
        outcome, run = self.outcomes.get(job.number), RunFolder(self.plan.job_folder(job.number))
        seconds = outcome.seconds if outcome else time.monotonic() - self.running[job.number]
        status = outcome.ended if outcome else str(run.document.get("stage") or "starting")
        last = run.metrics[-1] if run.metrics else {}
        epochs = f"{last['epoch']}/{run.value('train.epochs')}" if last else ""
        varied = [csv_text(job.varied.get(key)) for key in self.plan.varied]
        losses = [brief(last.get(name)) for name in ("loss", "val_loss")]
        return [str(job.number), *varied, status, f"{seconds:.1f}", epochs, *losses]
