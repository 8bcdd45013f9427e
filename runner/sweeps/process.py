"""One job in a process of its own: started, waited for, ended.

output.log: what a job of a sweep says on stdout and stderr.
"""

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


COMMAND = (sys.executable, "-m", "runner.job")

GRACE_SECONDS = 60.0
"""How long a job that is asked to end may take to write its state."""

SIGNALLED = 128
"""Exit codes from here on name the signal that ended a job, as shells have it."""

Cause = Literal["interrupted", "timed out", "pruned"]
"""Why a job is asked to end, and what it then is told to have ended as."""

Ended = Literal["completed", "failed", "killed"] | Cause

SAID: Mapping[Ended, str] = {"interrupted": WITH_THE_SWEEP, "pruned": GIVEN_UP}
"""The last line of output.log of a job that was asked to end, and did."""


@dataclass(frozen=True)
class Attempt:
    """A job that is to be run; `again`: gone on with, in the folder it has."""

    job: PlannedJob
    again: bool = False

    @property
    def number(self) -> int:
        """The job's."""
        return self.job.number


@dataclass(frozen=True)
class Outcome:
    """How the process of a job ended."""

    number: int
    ended: Ended
    exit_code: int
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether nothing went wrong: a trial that was given up is as good as one that was not."""
        return self.ended in ("completed", "pruned")


class JobProcess:
    """The process of one job, in a group of its own: a Ctrl-C at the terminal reaches the sweep alone.

    Its stdin is a pipe that nobody writes to: when the sweep's process is gone, however it ended, the pipe is closed,
    and the job ends with its state written.
    """

    def __init__(
        self,
        plan: SweepPlan,
        attempt: Attempt,
        *,
        timeout_seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> None:
        self.planned = attempt.job
        self.timeout_seconds = timeout_seconds
        self._folder = plan.job_folder(attempt.number) if attempt.again else begin_job(plan, attempt.number)
        words = [str(plan.folder), str(attempt.number), *(["resume"] if attempt.again else [])]
        with (self._folder / OUTPUT_LOG).open("ab") as output:
            self._process = subprocess.Popen(
                [*(command or COMMAND), *words],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
                process_group=0,
            )
        self._begun = time.monotonic()
        self._asked: float | None = None
        self._cause: Cause = "interrupted"

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self._begun

    @property
    def has_begun(self) -> bool:
        """Always: nothing has to be waited for."""
        return True

    def poll(self) -> Outcome | None:
        """How it ended; None while it runs. What takes longer than it may is asked to end, and then made to."""
        if not self._has_ended():
            limit = self.timeout_seconds
            if limit is not None and self.seconds > limit and self._asked is None:
                note(self._folder, f"ended after {limit / 60:g} minutes, the sweep's limit for a job")
                self.ask_to_end("timed out")
            if self._asked is not None and time.monotonic() - self._asked > GRACE_SECONDS:
                self.kill()
            return None
        self.kill()  # whatever it started and left
        return self._outcome(self._process.wait())

    def ask_to_end(self, cause: Cause = "interrupted") -> None:
        """Let it end when its step is done and its state is written; the first cause counts."""
        if self._asked is None:
            self._asked, self._cause = time.monotonic(), cause
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it, and all it started, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Make sure that nothing of it is left."""
        if self._process.returncode is None:
            self.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _has_ended(self) -> bool:
        # Not waited for yet: until then nobody else can be given its number, nor its group's.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _outcome(self, code: int) -> Outcome:
        if code < 0 and self._asked is None:
            name = signal.Signals(-code).name
            memory = "; the system may have run out of memory" if name == "SIGKILL" else ""
            note(self._folder, f"the process was ended by {name}{memory}")
        ended, exit_code = self._ended(code), SIGNALLED - code if code < 0 else code
        if ended in SAID and self._asked is not None:
            note(self._folder, SAID[ended])
        return Outcome(self.planned.number, ended, exit_code, self.seconds)

    def _ended(self, code: int) -> Ended:
        if code == 0:
            return "completed"
        if self._asked is not None:
            return self._cause
        if code in (130, 143):
            return "interrupted"
        return "killed" if code < 0 else "failed"
