"""index.html: all runs below a folder in one table, and up to eight chosen ones side by side; drawn from summaries."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from markupsafe import Markup

from runner.records.files import write_atomically
from runner.records.folder import call
from runner.records.run_names import MADE, all_runs
from runner.reports.html import render_page
from runner.reports.index_data import data_of
from runner.reports.index_rows import IndexRow, columns_of, draw_rows, link_of

INDEX_HTML = "index.html"

MOST_RUNS = 2000
"""The most runs of the page, the newest; each takes about 1 kB."""


LONGEST_SECONDS, POLL_SECONDS = 20.0, 0.02
"""How long to wait for a turn to draw the page, and how often to look; a process with a longer turn is suspended."""


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
    table = draw_rows(root, found[-MOST_RUNS:])
    rows, layout = list(reversed(table.rows.items())), table.layout
    statuses = Counter(row.status for _, row in rows)
    unlinked = (name for name, row in rows if not row.has_page and "/" not in name)
    return render_page(
        "index.html.j2",
        key=f"runs {root.resolve()}",
        has_charts=any(row.facts.curves for _, row in rows),
        scripts=("index.js",),
        name="Runs",
        root=root.resolve(),
        rows=[Markup(row.html) for _, row in rows],
        columns=[title for title, _ in columns_of(layout)],
        statuses=sorted(statuses.items()),
        sweeps=_sweeps(rows, root),
        unlinked=next((call(root / "runs" / name) for name in unlinked), None),
        num_left_out=len(found) - len(rows),
        data=Markup(data_of([row.line for _, row in rows], layout, table.common, table.shared)),
    )


def _sweeps(rows: Iterable[tuple[str, IndexRow]], root: Path) -> list[SweepRow]:
    statuses: dict[str, Counter[str]] = {}
    for name, row in rows:
        sweep, is_job, _ = name.partition("/")
        if is_job:
            statuses.setdefault(sweep, Counter())[row.status] += 1
    return [
        SweepRow(sweep, link_of(root / "sweeps" / sweep, root), sorted(counts.items()))
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
