"""The files by which the ranks of a run, and the process that watches them, let each other know how they ended."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from runner.errors import RunnerError
from runner.exit import error_text
from runner.records.files import write_atomically

RANKS = "ranks"
"""The folder with the logs of all ranks."""

DONE = f"{RANKS}/done"
"""The file that rank 0 makes once the run is closed."""

HANDED_IN = ".handed-in"
"""The suffix of files in which the other ranks give rank 0 what they have found."""

START = "-- start\n"
"""A line of a log before those of each attempt."""


@dataclass(frozen=True)
class RankError:
    """The error that ended a rank: its lines, as on a terminal, and the name of its class, empty if it is not known."""

    lines: tuple[str, ...]
    kind: str = ""

    def __str__(self) -> str:
        return "; ".join(line.strip().removeprefix("error: ") for line in self.lines)


def error_file(folder: Path, number: int) -> Path:
    """The file that is there once a rank has ended with an error, which it holds."""
    return folder / RANKS / f"{number}-error{HANDED_IN}"


def log_file(folder: Path, number: int) -> Path:
    """The log of a rank; that of rank 0 has what libraries write by themselves."""
    return folder / RANKS / f"{number}.log"


def note_error(folder: Path, number: int, error: BaseException) -> None:
    """Leave the error that ends a rank for the others, which may wait for it, and for whoever started it."""
    text = error_text(error)
    if not isinstance(error, RunnerError | KeyboardInterrupt):
        first = next(iter(str(error).strip().splitlines()), "")
        text = f"error: {type(error).__name__}: {first}"
    with suppress(RunnerError):
        write_atomically(error_file(folder, number), f"{type(error).__name__}\n{text}\n", overwrite=True)


def error_of(folder: Path, number: int) -> RankError | None:
    """The error that ended a rank in its last attempt; None if there is none.

    Of one that could not leave it, that in its log: for an exception the line below its traceback.
    """
    noted = error_file(folder, number)
    kind, *lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else [""]
    if lines:
        return RankError(tuple(lines), kind)
    log = log_file(folder, number)
    text = log.read_text(encoding="utf-8", errors="replace") if number and log.exists() else ""
    lines = text.rpartition(START)[2].splitlines()
    starts = [row for row, line in enumerate(lines) if line.startswith("error: ")]
    if starts:
        return RankError((lines[starts[-1]], *takewhile(lambda line: line.startswith("  "), lines[starts[-1] + 1 :])))
    traces = [row for row, line in enumerate(lines) if line.startswith("Traceback (")]
    below = [line for line in lines[traces[-1] + 1 :] if line.strip() and not line.startswith(" ")] if traces else []
    return RankError((f"error: {below[0]}",)) if below else None


def note_death(folder: Path, number: int, code: int) -> None:
    """Write to the log of a rank but 0 how it was killed, and leave word for rank 0, which may wait for it."""
    text = f"error: {killed_by(code)}\n"
    with suppress(OSError), log_file(folder, number).open("a", encoding="utf-8") as log:
        log.write(text)
    with suppress(RunnerError):
        write_atomically(error_file(folder, number), f"\n{text}", overwrite=True)


def remove_handed_in(folder: Path) -> None:
    """Remove what the ranks of an attempt have handed in, and not taken."""
    for old in (folder / RANKS).glob(f"*{HANDED_IN}"):
        old.unlink(missing_ok=True)


def killed_by(code: int) -> str:
    """The words for a negative exit code."""
    return f"killed by {signal.Signals(-code).name}"
