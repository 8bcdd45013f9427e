"""output.log: what a job of a sweep says on stdout and stderr."""

from __future__ import annotations

from pathlib import Path

OUTPUT_LOG = "output.log"
MARK = "sweep: "
"""What lines begin with that the sweep adds."""

WITH_THE_SWEEP = "ended with the sweep"
"""What is added where a job did nothing wrong, and had to end."""

GIVEN_UP = "given up; sweep.csv says why"
"""What is added where a job promised too little."""

TAIL_BYTES = 65_536


def note(folder: Path, text: str) -> None:
    """Add what the sweep knows of the job's end."""
    with (folder / OUTPUT_LOG).open("a", encoding="utf-8") as file:
        file.write(f"{MARK}{text}\n")


def last_line(folder: Path) -> str | None:
    """The last line there is; None where there is none."""
    return last_line_of(folder / OUTPUT_LOG)


def last_line_of(path: Path) -> str | None:
    """The last line of a file that says something; None where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)
