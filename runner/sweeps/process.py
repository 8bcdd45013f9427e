"""One job of a sweep in a process of its own, and output.log, which holds what the process writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.sweeps.sweep_plan import PlannedJob, SweepPlan, begin_job

COMMAND = (sys.executable, "-m", "runner.job")

GRACE_SECONDS = 60.0
"""How long a job that was asked to end may take to write its state."""

SIGNALLED = 128
"""Exit codes from here on name the signal that ended a job, as in a shell."""

StopCause = Literal["interrupted", "timed out", "pruned"]
"""Why a job is asked to end; also how that job then ended."""

JobEnd = Literal["completed", "failed", "killed"] | StopCause


@dataclass(frozen=True)
class JobAttempt:
    """A job to run; `resume`: continue in the folder that the job already has."""

    job: PlannedJob
    resume: bool = False

    @property
    def number(self) -> int:
        """The number of the job."""
        return self.job.number


@dataclass(frozen=True)
class JobOutcome:
    """How the process of a job ended."""

    number: int
    ended: JobEnd
    exit_code: int
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether nothing went wrong; a pruned trial succeeds."""
        return self.ended in ("completed", "pruned")


class JobProcess:
    """The process of one job, in a process group of its own, so that Ctrl-C in the terminal reaches only the sweep.

    Its stdin is a pipe to which nothing is written. The pipe closes when the process of the sweep ends, for whatever
    reason; the job then writes its state and ends.
    """

    def __init__(
        self,
        plan: SweepPlan,
        attempt: JobAttempt,
        *,
        timeout_seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> None:
        self.planned = attempt.job
        self.timeout_seconds = timeout_seconds
        self._folder = plan.job_folder(attempt.number) if attempt.resume else begin_job(plan, attempt.number)
        arguments = [str(plan.folder), str(attempt.number), *(["resume"] if attempt.resume else [])]
        with (self._folder / OUTPUT_LOG).open("ab") as output:
            self._process = subprocess.Popen(
                [*(command or COMMAND), *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
                process_group=0,
            )
        self._started = time.monotonic()
        self._asked_to_end: float | None = None
        self._cause: StopCause = "interrupted"

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def has_begun(self) -> bool:
        """True: a local process never waits in a queue."""
        return True

    def poll(self) -> JobOutcome | None:
        """Return how the job ended, or None while it runs; ask a job over its time limit to end, then kill it."""
        if not self._has_ended():
            limit = self.timeout_seconds
            if limit is not None and self.seconds > limit and self._asked_to_end is None:
                note(self._folder, f"stopped after {limit / 60:g} min (sweep.timeout_minutes)")
                self.ask_to_end("timed out")
            if self._asked_to_end is not None and time.monotonic() - self._asked_to_end > GRACE_SECONDS:
                self.kill()
            return None
        self.kill()  # processes that the job started and left behind
        return self._outcome(self._process.wait())

    def ask_to_end(self, cause: StopCause = "interrupted") -> None:
        """Ask the job to finish its step, write its state and end; only the first cause counts."""
        if self._asked_to_end is None:
            self._asked_to_end, self._cause = time.monotonic(), cause
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the job and every process that it started, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill the job if it still runs, and release its pipe."""
        if self._process.returncode is None:
            self.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _has_ended(self) -> bool:
        # WNOWAIT leaves the process unreaped: until then the system cannot reuse its id, nor that of its group.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _outcome(self, code: int) -> JobOutcome:
        if code < 0 and self._asked_to_end is None:
            name = signal.Signals(-code).name
            memory = "; the system may have run out of memory" if name == "SIGKILL" else ""
            note(self._folder, f"the process was killed by {name}{memory}")
        ended, exit_code = self._end(code), SIGNALLED - code if code < 0 else code
        if ended in END_NOTES and self._asked_to_end is not None:
            note(self._folder, END_NOTES[ended])
        return JobOutcome(self.planned.number, ended, exit_code, self.seconds)

    def _end(self, code: int) -> JobEnd:
        if code == 0:
            return "completed"
        if self._asked_to_end is not None:
            return self._cause
        if code in (130, 143):
            return "interrupted"
        return "killed" if code < 0 else "failed"


OUTPUT_LOG = "output.log"
"""The file in the folder of a job that holds its stdout and stderr."""

MARK = "sweep: "
"""The beginning of lines that the sweep, not the job, wrote."""

STOPPED_WITH_SWEEP = "ended with the sweep"
"""Noted for a job that had to end though nothing was wrong with it; read back as `interrupted`."""

END_NOTES: Mapping[JobEnd, str] = {"interrupted": STOPPED_WITH_SWEEP, "pruned": "pruned; sweep.csv has the reason"}
"""The last line of output.log for a job that ended because it was asked to."""

TAIL_BYTES = 65_536


def note(folder: Path, text: str) -> None:
    """Append what the sweep knows about the end of a job to its output.log."""
    with (folder / OUTPUT_LOG).open("a", encoding="utf-8") as file:
        file.write(f"{MARK}{text}\n")


def last_line(folder: Path) -> str | None:
    """The last line of output.log that is not blank; None if there is none."""
    return last_line_of(folder / OUTPUT_LOG)


def last_line_of(path: Path) -> str | None:
    """The last line of a file that is not blank; None if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)
