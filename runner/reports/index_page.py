"""index.html: all runs below a folder in one table, and up to eight chosen ones side by side; drawn from summaries."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from runner.records.columns import in_unit, title_of
from runner.records.dotted import flat
from runner.records.files import write_atomically
from runner.records.folder import call
from runner.records.output import brief, csv_text
from runner.records.run_folder import is_number
from runner.records.run_names import MADE, all_runs
from runner.records.summary import SummarizedRun, summarize
from runner.reports.html import REPORT_HTML, render_page, seconds
from runner.reports.index_data import MOST_CHOSEN, comparison, evaluation

INDEX_HTML = "index.html"

MOST_RUNS = 2000
"""The most runs of the page, the newest; each takes about 1 kB."""

MOST_LETTERS = 160
"""The longest text of what was set for a run; its own page has all of it."""

LONGEST_SECONDS, POLL_SECONDS = 20.0, 0.02
"""How long to wait for a turn to draw the page, and how often to look; a process with a longer turn is suspended."""

NUM_RESULTS = 3
"""The number of results that have a column."""

WAIT, SECONDS = "wait_share", "seconds.total"


@dataclass(frozen=True)
class RunRow:
    """A row of the table: the place of the run in the data of the page, its page if it has one, and what is shown."""

    number: int
    run: SummarizedRun
    link: str | None
    setting: str
    results: Sequence[tuple[Any, str]]


@dataclass(frozen=True)
class SweepRow:
    """A sweep, by the runs of its jobs."""

    name: str
    link: str | None
    statuses: Sequence[tuple[str, int]]


def write_index(root: Path) -> Path | None:
    """Draw the page of all runs below `root`, and return its path; None if another process does so in a moment.

    Raises `RunnerError` if it cannot be written.
    """
    path = root / INDEX_HTML
    with alone(root / f".{INDEX_HTML}.lock") as is_turn:
        if not is_turn:
            return None
        write_atomically(path, render_index(root), overwrite=True, durable=False)
    return path


def refresh_index(folder: Path) -> str | None:
    """Draw the page of all runs after the run or sweep in `folder` has ended; the reason if that is impossible.

    Only for a folder that the runner made: one that a program chose has no page of all runs.
    """
    if not (MADE.fullmatch(folder.name) and folder.parent.name in ("runs", "sweeps")):
        return None
    try:
        write_index(folder.parent.parent)
    except Exception as error:  # never the end of a run
        return f"cannot write {INDEX_HTML}: {type(error).__name__}: {error}"
    return None


def render_index(root: Path) -> str:
    """The page as text; a run without a summary gets one."""
    found = all_runs(root)
    runs = [summarize(run, write=True) for run in reversed(found[-MOST_RUNS:])]
    keys = [*_results(runs), WAIT, SECONDS]
    objective = _commonest(summary[0] for run in runs if (summary := run.summary["objective"]))
    rows = [_row(number, run, objective, keys, root) for number, run in enumerate(runs)]
    sweeps = _sweeps(runs, root)
    return render_page(
        "index.html.j2",
        key=f"runs {root.resolve()}",
        has_charts=any(run.summary["curves"] for run in runs),
        scripts=("index.js",),
        name="Runs",
        root=root.resolve(),
        rows=rows,
        columns=[*([f"best {objective}"] if objective else []), *map(title_of, keys)],
        statuses=sorted(Counter(run.status for run in runs).items()),
        sweeps=sweeps,
        unlinked=next((call(row.run.path) for row in rows if row.link is None and "/" not in row.run.name), None),
        num_left_out=len(found) - len(runs),
        most=MOST_CHOSEN,
        data=comparison(runs),
    )


def _results(runs: Iterable[SummarizedRun]) -> list[str]:
    """The numbers that most evaluations have."""
    counts: Counter[str] = Counter()
    for run in runs:
        counts.update(f"evaluate.{key}" for key in evaluation(run))
    return [key for key, _ in counts.most_common(NUM_RESULTS)]


def _commonest(names: Iterable[str]) -> str | None:
    return next((name for name, _ in Counter(names).most_common(1)), None)


def _row(number: int, run: SummarizedRun, objective: str | None, keys: Sequence[str], root: Path) -> RunRow:
    values = [_shown(key, run.value(key)) for key in keys]
    if objective is not None:
        key, _, best, _ = run.summary["objective"] or (None,) * 4
        values = [_shown(objective, best if key == objective else run.value(objective)), *values]
    return RunRow(number, run, _link(run.path, root), _setting(run), values)


def _shown(key: str, value: Any) -> tuple[Any, str]:
    """A number and its text; neither for anything else."""
    if not is_number(value):
        return None, ""
    if key == SECONDS:
        return round(value, 1), seconds(value)
    value = in_unit(key, value)
    text = f"{value:.1f}" if key == WAIT else brief(float(value))
    return (f"{value:.6g}" if "," in text else None), text  # a text without separators sorts as a number


def _link(folder: Path, root: Path) -> str | None:
    page = folder / REPORT_HTML
    return quote(page.relative_to(root).as_posix()) if page.is_file() else None


def _setting(run: SummarizedRun) -> str:
    """What was set for a run: its overrides, else the keys that differ from the defaults."""
    overrides = run.document.get("overrides") or [
        f"{key}={csv_text(value)}" for key, value in flat(run.document.get("changed") or {}) if key
    ]
    text = " ".join(map(str, overrides))
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"


def _sweeps(runs: Iterable[SummarizedRun], root: Path) -> list[SweepRow]:
    statuses: dict[str, Counter[str]] = {}
    for run in runs:
        sweep, is_job, _ = run.name.partition("/")
        if is_job:
            statuses.setdefault(sweep, Counter())[run.status] += 1
    return [
        SweepRow(sweep, _link(root / "sweeps" / sweep, root), sorted(counts.items()))
        for sweep, counts in statuses.items()
    ]


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Hold the lock of the file at `path` during the block; gives whether it is the turn of this process.

    It is not where another process waits already: that one begins later, and sees all that there is now. Nor where a
    turn takes too long. The lock ends with the process. Without locks, as on some network disks, it is always the turn.
    """
    try:
        turn, queue = path.open("ab"), path.with_name(f"{path.name}.next").open("ab")
    except OSError:
        yield True
        return
    with turn, queue:
        has_turn = _locked(queue, 0.0) and _locked(turn, LONGEST_SECONDS)
        with suppress(OSError):
            fcntl.flock(queue, fcntl.LOCK_UN)
        yield has_turn


def _locked(file: IO[bytes], seconds: float) -> bool:
    """Lock a file within some seconds; whether it worked."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
        except OSError:
            return True
        time.sleep(POLL_SECONDS)
