"""How a group of ranks ended: the rank that was the cause, and what the terminal and the record say about it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.distribute.rank_files import RANKS, RankError, error_of, killed_by, log_file
from runner.errors import LostRankError, RunnerError
from runner.messages import plural
from runner.records.folder import CHECKPOINTS, call
from runner.records.run_folder import mark_killed
from runner.records.state import newest_step

LOST = LostRankError.exit_code
STALLED = 124
"""Exit code in place of that of a rank that gives no sign of life: the others end themselves, as JAX has them do."""


@dataclass(frozen=True)
class GroupEnd:
    """How a group ended: the exit code, and the rank that was the cause."""

    code: int
    rank: int

    @property
    def is_death(self) -> bool:
        """Whether a rank was killed, stalled or lost the others, rather than ended by an error of the run."""
        return self.code < 0 or self.code in (LOST, STALLED)

    def __str__(self) -> str:
        """What happened, after a death."""
        what = {LOST: "lost its connection to another rank", STALLED: "gave no sign of life"}
        return f"rank {self.rank} {what.get(self.code) or 'was ' + killed_by(self.code)}"


def cause_of(ended: Mapping[int, int], world: int) -> GroupEnd:
    """What ended the group, given the first to end first: a death before errors, which the others have after it.

    If all that have ended miss another one, those that still run are the cause.
    """
    ends = [GroupEnd(code, rank) for rank, code in ended.items() if code]
    survivors = [end for end in ends if end.code in (LOST, -signal.SIGABRT)]
    killed = [end for end in ends if end.is_death and end not in survivors]
    errors = [end for end in ends if not end.is_death]
    stalled = [GroupEnd(STALLED, rank) for rank in range(world) if survivors and rank not in ended]
    aborted = sorted(survivors, key=lambda end: end.code == LOST)
    return next(iter([*killed, *errors, *stalled, *aborted]), GroupEnd(0, 0))


def record_error(end: GroupEnd, folder: Path) -> str:
    """Record the error that ended the run in `folder`, unless rank 0 has; returns the message, with the rank's number.

    Rank 0 has not if it was killed, as one that compiles for seconds is.
    """
    silent = f"error: ended with exit code {end.code}, and no error; its log is {log_file(folder, end.rank)}"
    error = error_of(folder, end.rank) or RankError((silent,))
    mark_killed(folder, {"type": error.kind or RunnerError.__name__, "message": f"rank {end.rank}: {error}"})
    return "\n".join([f"rank {end.rank}:", *error.lines])


def record_death(end: GroupEnd, folder: Path, restarts: int | None) -> str:
    """Record the death that ended the run in `folder`; returns the message. None restarts: the run keeps no state."""
    mark_killed(folder, {"type": LostRankError.__name__, "message": str(end)})
    after = "; start the run again" if restarts is None else f", after {plural(restarts, 'restart')}"
    is_resumable = folder.parent.name == "runs" and newest_step(folder / CHECKPOINTS) is not None
    resume = f"; resume={call(folder)} continues from the newest state" if is_resumable else ""
    key = "" if restarts is None else " (distribute.restarts)"
    return f"error: {end}{after}{key}\n  the logs of the ranks are in {folder / RANKS}{resume}"
