"""The files by which the ranks of a run, and the process that watches them, let each other know how they ended."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

RANKS = "ranks"
"""The folder with the logs of all ranks but 0."""

DONE = f"{RANKS}/done"
"""The file that rank 0 makes once the run is closed."""

HANDED_IN = ".handed-in"
"""The suffix of files in which the other ranks give rank 0 what they have found."""

START = "-- start\n"
"""A line of a log before those of each attempt."""


def error_file(folder: Path, number: int) -> Path:
    """The file that is there once a rank has ended with an error; that of rank 0 has it, for other hosts."""
    return folder / RANKS / f"{number}-error{HANDED_IN}"


def error_of(folder: Path, number: int) -> list[str]:
    """The lines of the error that ended a rank in its last attempt; none if it wrote no error.

    Of an exception that is no error of the run, the last line of its traceback.
    """
    file = folder / RANKS / f"{number}.log"
    lines = file.read_text(encoding="utf-8", errors="replace").rpartition(START)[2].splitlines()
    starts = [row for row, line in enumerate(lines) if line.startswith("error: ")]
    if starts:
        return lines[starts[-1] :]
    return [f"error: {lines[-1]}"] if any(line.startswith("Traceback (") for line in lines) else []


def note_death(folder: Path, number: int, code: int) -> None:
    """Write to the log of a rank but 0 how it was killed, and leave word for rank 0, which may wait for it."""
    with suppress(OSError), (folder / RANKS / f"{number}.log").open("a", encoding="utf-8") as log:
        log.write(f"error: {killed_by(code)}\n")
        log.flush()
        error_file(folder, number).touch()


def remove_handed_in(folder: Path) -> None:
    """Remove what the ranks of an attempt have handed in, and not taken."""
    for old in (folder / RANKS).glob(f"*{HANDED_IN}"):
        old.unlink(missing_ok=True)


def killed_by(code: int) -> str:
    """The words for a negative exit code."""
    return f"killed by {signal.Signals(-code).name}"
