"""A run on the terminal: its summary, progress, epochs, tables and results."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from runner.exit import accept_any_text
from runner.messages import format_bytes, printable, wrapped
from runner.modes.progress_line import ProgressLine, epoch_text, value_text
from runner.records.output import UNBOUNDED, fitting
from runner.records.run_folder import is_number

log = logging.getLogger("runner.terminal")


def shown(text: str) -> str:
    """A text for the console: no markup in it, and no control characters."""
    return escape(printable(text))


INDENT = 10
"""The width of the column of labels."""

Line = tuple[str, str]
"""A label, and the text after it; lines without a label continue the one before."""


def _console() -> Console:
    """Standard output; a notebook gets plain lines, of which Rich would make an output each, with space between."""
    is_terminal = False if Console().is_jupyter else None  # None: as it says itself, which is yes in a notebook
    return Console(highlight=False, soft_wrap=True, force_jupyter=False, force_terminal=is_terminal)


class Terminal:
    """Prints a run to a person: with live progress on a terminal, in plain lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        accept_any_text()
        self._console = console or _console()

    def lines(self, lines: Iterable[Line]) -> None:
        """Print lines, the labels in a column of their own."""
        for label, text in lines:
            for number, part in enumerate(self._parts(text)):
                self._console.print(f"[bold]{'' if number else shown(label):<9}[/bold] {shown(part)}")

    def summary(self, lines: Iterable[Line]) -> None:
        """Print lines, and write them to run.log."""
        for label, text in lines:
            self.lines([(label, text)])
            log.info("%s", printable(f"{label}: {text}" if label else text))

    def note(self, text: str) -> None:
        """Print something that a person should know and need not act on."""
        for part in self._parts(text):
            self._console.print(f"{'':<{INDENT}}[yellow]{shown(part)}[/yellow]")

    def _parts(self, text: str) -> list[str]:
        """The text in lines that fit a terminal."""
        if not self._console.is_terminal:
            return [text]
        return wrapped(printable(text), self._console.width - INDENT)

    def path(self, label: str, path: Path) -> None:
        """Print where a file or folder is; never wrapped, so that it can be copied."""
        self._console.print(f"[bold]{label:<10}[/bold]{shown(str(path))}", soft_wrap=True)

    def results(self, split: str, values: Mapping[str, Any]) -> None:
        """Print the loss and the metrics of a split on one line, without what is not a number."""
        names = sorted((name for name in values if is_number(values[name])), key=lambda name: name != "loss")
        self.lines([(split, "  ".join(f"{name} {values[name]:.4f}" for name in names))])

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows of cells: a name, then numbers.

        A terminal breaks no word of a name; the last columns that do not fit are left out, and named.
        """
        live, rows = self._console.is_terminal, [[*row] for row in rows]
        names = max(len(word) for cells in (header, *rows) for word in cells[0].split())
        widths = [names, *(max(map(len, column)) for column in list(zip(header, *rows, strict=True))[1:])]
        chosen = fitting(widths, self._console.width, stay=(0,)) if live else range(len(header))
        left_out = [title for number, title in enumerate(header) if number not in chosen]
        header, rows = [header[each] for each in chosen], [[row[each] for each in chosen] for row in rows]
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for number, title in enumerate(header):
            least = None if number or not live else names
            justify: JustifyMethod = "right" if number else "left"
            table.add_column(shown(title), justify=justify, overflow="fold", no_wrap=number > 0, min_width=least)
        for row in rows:
            table.add_row(*map(shown, row))
        console = self._console if live else Console(file=self._console.file, highlight=False, width=UNBOUNDED)
        console.print(table)
        if left_out:
            self.lines([("", f"left out: {', '.join(left_out)}")])

    def waiting(self, text: str) -> contextlib.AbstractContextManager[object]:
        """Show `text` and a spinner while the block runs; nothing where the output is no terminal."""
        return self._console.status(text) if self._console.is_terminal else contextlib.nullcontext()

    @contextlib.contextmanager
    def training(
        self, *, epochs: int, steps_per_epoch: int, pace: TrainingPace, monitor: str = ""
    ) -> Iterator[TrainingView]:
        """Show progress over the whole run, and print a line for every epoch, which always has the value `monitor`."""
        live = self._console.is_terminal
        with Progress(TextColumn("fit"), console=self._console, transient=True, disable=not live) as progress:
            yield TrainingView(EpochTable(self._console, epochs, monitor), progress, steps_per_epoch, pace)

    @contextlib.contextmanager
    def counting(self, label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Show progress over `total` units; call the function with the number of units that were added."""
        live = self._console.is_terminal
        columns = _columns(label, unit)
        with Progress(*columns, console=self._console, transient=True, disable=not live) as progress:
            task = progress.add_task(label, total=total)
            yield lambda count: progress.update(task, advance=count)

    @contextlib.contextmanager
    def copying(self, label: str, total: int) -> Iterator[Callable[[int, int], None]]:
        """Show progress over `total` samples; call the function with the samples and bytes that were added.

        Where the output is no terminal, a line is printed every minute.
        """
        live = self._console.is_terminal
        columns = (*_columns(label, "samples"), TextColumn("{task.fields[pace]}"))
        with Progress(*columns, console=self._console, transient=True, disable=not live) as progress:
            task = progress.add_task(label, total=total, pace="")
            every, began, done, num_bytes = LIVE_SECONDS if live else PLAIN_SECONDS, time.monotonic(), 0, 0
            printed, skipped = began, 0

            def on_samples(count: int, size: int) -> None:
                nonlocal done, num_bytes, printed, skipped
                done, num_bytes = done + count, num_bytes + size
                skipped += 0 if size else count
                progress.update(task, completed=done)
                now = time.monotonic()
                if now - printed >= every:
                    printed, rate = now, num_bytes / (now - began)
                    progress.update(task, pace=f"{format_bytes(rate)}/s")
                    if not live:
                        left = timedelta(seconds=round((total - done) * (now - began) / max(1, done - skipped)))
                        pace = f"{done:,} of {total:,} samples  {format_bytes(rate)}/s  {left} left"
                        self._console.print(f"{'':<10}{pace}")

            yield on_samples


def _columns(label: str, unit: str) -> tuple[ProgressColumn, ...]:
    title = TextColumn(f"[bold]{label:<9}[/bold]")
    steps = (BarColumn(bar_width=12), MofNCompleteColumn(), TextColumn(unit))
    return title, *steps, TimeRemainingColumn(compact=True), TextColumn("left")


class TrainingPace:
    """The speed of training, and the share of time it waits for data, since `mark`.

    `waited_seconds` returns the seconds that training has waited so far.
    """

    def __init__(self, batch_size: int, waited_seconds: Callable[[], float]) -> None:
        self._batch_size, self._waited_seconds = batch_size, waited_seconds
        self._step: int | None = None

    def mark(self, step: int | None) -> None:
        """Measure from now on, at `step`; from the next step on if that is None."""
        self._step, self._began, self._waited = step, time.monotonic(), self._waited_seconds()

    def seconds(self, step: int) -> float:
        """Seconds since the mark; 0 at the first step."""
        if self._step is None:
            self.mark(step)
        return time.monotonic() - self._began

    def steps_per_second(self, step: int) -> float:
        """Steps per second since the mark."""
        return (step - (self._step or 0)) / max(self.seconds(step), 1e-9)

    def texts(self, step: int) -> tuple[str, str]:
        """Both figures: `1,230 images/s` and `waits 4%`."""
        waited = (self._waited_seconds() - self._waited) / max(self.seconds(step), 1e-9)
        return f"{self.steps_per_second(step) * self._batch_size:,.0f} images/s", f"waits {min(waited, 1):.0%}"


LIVE_SECONDS, PLAIN_SECONDS = 0.5, 60.0
"""How often the pace is printed: in place on a terminal, else on a line of its own."""


class TrainingView:
    """The live part of the summary, while the model trains."""

    def __init__(self, table: EpochTable, progress: Progress, steps_per_epoch: int, pace: TrainingPace) -> None:
        self._table, self._progress, self._steps, self._pace = table, progress, steps_per_epoch, pace
        self._total = table.epochs * steps_per_epoch
        self._line = ProgressLine(progress, table.epochs, steps_per_epoch)
        self._every = PLAIN_SECONDS if progress.disable else LIVE_SECONDS
        self._values: Callable[[], Mapping[str, float]] = dict
        self._shown: tuple[str, str] | None = None

    def begin(self, values: Callable[[], Mapping[str, float]]) -> None:
        """Show the loss and the metrics of the epoch so far by what `values` returns, which waits for no step."""
        self._values = values

    def on_step(self, step: int) -> None:
        """Show progress: batch `step` is on its way to the model."""
        self._line.advance(step)
        if self._pace.seconds(step) >= self._every:
            self._shown = self._pace.texts(step)
            if self._progress.disable:
                self._print(step, *self._shown)
            else:
                self._line.show(step, self._values(), *self._shown)
            self._pace.mark(step)
        elif step % self._steps == 0 or self._shown is None:
            self._shown = self._shown or ("", "")
            self._line.show(step, self._values(), *self._shown)  # of the epoch before, until there are others

    def _print(self, step: int, speed: str, waits: str) -> None:
        left = timedelta(seconds=round((self._total - step) / self._pace.steps_per_second(step)))
        values = (value_text(name, value) for name, value in self._values().items())
        where = (f"step {step:,} of {self._total:,}", epoch_text(step, self._steps, self._table.epochs))
        text = "  ".join([*where, *values, speed, waits, f"{left} left"])
        self._progress.console.print(f"{'':<10}{shown(text)}")

    def on_epoch(self, epoch: int, row: Mapping[str, float | None]) -> None:
        """Print the epoch's line. Its validation does not count in the pace."""
        self._pace.mark(None)
        self._table.line(epoch, row)


HIDDEN = ("phase", "learning_rate", "samples_seen")
"""Columns of metrics.csv that the terminal does not show."""

KEPT = ("loss", "val_loss", "wait_share")
"""Columns that every terminal shows, next to the value that decides the best epoch."""

FIRST_LEFT_OUT = ("seconds", "images_per_second")
"""Columns that a narrow terminal leaves out first; then metrics, the last one first."""


class EpochTable:
    """A line for every epoch; where a terminal is too narrow for all columns, a line names those that are left out."""

    def __init__(self, console: Console, epochs: int, monitor: str) -> None:
        self._console, self.epochs, self._kept = console, epochs, (*KEPT, monitor)
        self._names: list[str] = []

    def line(self, epoch: int, row: Mapping[str, float | None]) -> None:
        """Print the line of an epoch; before the first one, the titles."""
        if not self._names:
            every = [name for name in row if name not in HIDDEN]
            self._names = self._fitting(every) if self._console.is_terminal else every
            titles = "".join(f"  {_title(name):>{_width(name)}}" for name in self._names)
            if left_out := [_title(name) for name in every if name not in self._names]:
                text = f"left out: {', '.join(left_out)}; metrics.csv has all"
                for part in wrapped(text, self._console.width - INDENT):
                    self._console.print(f"[dim]{'':<{INDENT}}{shown(part)}[/dim]")
            self._console.print(f"[bold]{'epoch':<9}[/bold][dim]{titles}[/dim]")
        number = f"{epoch:>{len(str(self.epochs))}}/{self.epochs}"
        cells = "".join(f"  {_number(name, row.get(name)):>{_width(name)}}" for name in self._names)
        self._console.print(f"{number:<9}{cells}")

    def _fitting(self, names: Sequence[str]) -> list[str]:
        """The columns that fit next to the number of the epoch, in their order."""
        kept = [name for name in names if name in self._kept]
        last = [name for name in FIRST_LEFT_OUT[::-1] if name in names and name not in kept]
        order = [*kept, *(name for name in names if name not in (*kept, *last)), *last]
        numbers = fitting([9, *map(_width, order)], self._console.width, stay=range(len(kept) + 1))
        chosen = {order[number - 1] for number in numbers[1:]}
        return [name for name in names if name in chosen]


def _title(name: str) -> str:
    return {"images_per_second": "images/s", "wait_share": "wait"}.get(name, name)


def _width(name: str) -> int:
    """The width of a column; with loss, accuracy and validation, a line has 79 characters."""
    return max(len(_title(name)), 6 if name == "wait_share" else 7)


def _number(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name == "images_per_second":
        return f"{value:,.0f}"
    if name == "wait_share":
        return f"{value:.1%}"
    return f"{value:.2f}" if name == "seconds" else f"{value:.4f}"
