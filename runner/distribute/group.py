"""The processes of a group, started and watched by the one that the user started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from runner.messages import plural

COMMAND = (sys.executable, "-m", "runner.rank")

RANKS = "ranks"
"""The folder with the logs of all ranks but 0."""

DONE = f"{RANKS}/done"
"""The file that rank 0 makes once the run is closed."""

HANDED_IN = ".handed-in"
"""The suffix of files in which the other ranks give rank 0 what they have found."""

START = "-- start\n"
"""A line of a log before those of each attempt."""

NOT_CONNECTED = 75
"""Exit code of a rank that could not connect to the others."""

MOST_PORTS = 5
"""The most free ports to try: another process may take one before rank 0 does."""

GRACE_SECONDS = 2.0
"""From SIGTERM to SIGKILL. A rank that waits for another one in a collective runs no handler of a signal."""

WATCH_SECONDS = 0.05
SETTLE_SECONDS = 0.5
"""How long to wait for the cause after a rank has ended: the others may notice it first, and end with an error."""

END_SECONDS = 120.0
"""How long the other ranks may take to end after rank 0."""


@dataclass(frozen=True)
class GroupEnd:
    """How a group ended: the exit code, and the rank that was the cause."""

    code: int
    rank: int

    @property
    def is_death(self) -> bool:
        """Whether a rank was killed, or ended itself by a signal, rather than by an error of the run."""
        return self.code < 0


class RankGroup:
    """The ranks of one attempt, each in a process group of its own: Ctrl-C in the terminal reaches only the parent.

    Each gets the run on stdin, a pipe that stays open: a rank ends once its other end is gone. What ranks but 0 write
    for themselves is in a temporary folder that is removed with the group: one that is killed removes nothing.
    """

    def __init__(self, world: int, address: str, order: bytes, folder: Path) -> None:
        self._scratch = TemporaryDirectory(prefix="keras-runner-ranks-", ignore_cleanup_errors=True)
        words = (address, self._scratch.name)
        self.ranks = [_started(number, words, order, folder) for number in range(world)]

    def signal(self, number: int) -> None:
        """Pass a signal on to rank 0, which writes its state after its step."""
        with suppress(ProcessLookupError):
            os.kill(self.ranks[0].pid, number)

    def ended(self) -> dict[int, int]:
        """The exit codes of the ranks that have ended, by number; negative: of a signal."""
        return {number: code for number, rank in enumerate(self.ranks) if (code := rank.poll()) is not None}

    def wait(self) -> GroupEnd:
        """Wait until rank 0, or another one with an error, has ended; then end all others."""
        while 0 not in (ended := self.ended()) and not any(ended.values()):
            time.sleep(WATCH_SECONDS)
        if any(ended.values()):
            time.sleep(SETTLE_SECONDS)
            ended |= self.ended()  # after those that ended first
        end = self._cause(ended)
        if end.code == 0:
            self._await_all()
        self.close()
        return end

    def _cause(self, ended: Mapping[int, int]) -> GroupEnd:
        """What ended the group, given the first to end first: a death before errors, which the others have after it."""
        killed = [GroupEnd(code, rank) for rank, code in ended.items() if code < 0 and code != -signal.SIGABRT]
        errors = [GroupEnd(code, rank) for rank, code in ended.items() if code]
        return next(iter([*killed, *errors]), GroupEnd(0, 0))

    def _await_all(self) -> None:
        limit = time.monotonic() + END_SECONDS
        while len(self.ended()) < len(self.ranks) and time.monotonic() < limit:
            time.sleep(WATCH_SECONDS)

    def close(self) -> None:
        """End all ranks that still run."""
        for rank in self.ranks:
            if rank.poll() is None:
                rank.terminate()
        limit = time.monotonic() + GRACE_SECONDS
        while len(self.ended()) < len(self.ranks) and time.monotonic() < limit:
            time.sleep(WATCH_SECONDS)
        for rank in self.ranks:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(rank.pid, signal.SIGKILL)  # with processes that it started and left behind
            rank.wait()
            if rank.stdin is not None:
                with suppress(BrokenPipeError):
                    rank.stdin.close()
        self._scratch.cleanup()


def _started(number: int, words: Sequence[str], order: bytes, folder: Path) -> subprocess.Popen[bytes]:
    """The process of a rank, which has got its order; all but rank 0 write to a log."""
    command = [*COMMAND, str(number), *words]
    if number == 0:
        rank = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)
    else:
        with (folder / RANKS / f"{number}.log").open("ab") as log:
            log.write(START.encode())
            log.flush()
            rank = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, process_group=0
            )
    if rank.stdin is not None:
        with suppress(BrokenPipeError):  # it has died, which is noticed soon
            rank.stdin.write(order + b"\n")
            rank.stdin.flush()
    return rank


def supervise(world: int, restarts: int | None, order_of: Callable[[int], Any], folder: Path) -> int:
    """Do a run with `world` ranks; the exit code.

    `order_of` gives the run for each attempt, as bytes on one line. After the death of a rank the group is started
    again, at most `restarts` times, None if the run keeps no state; an error of the run ends it.
    """
    (folder / RANKS).mkdir(parents=True, exist_ok=True)
    attempt = ports = 0
    while True:
        for old in ((folder / DONE), *(folder / RANKS).glob(f"*{HANDED_IN}")):
            old.unlink(missing_ok=True)
        group = RankGroup(world, f"127.0.0.1:{_free_port()}", order_of(attempt), folder)
        try:
            with _passing_on(group) as passed:
                end = group.wait()
        finally:
            group.close()
        if end.code == NOT_CONNECTED and (ports := ports + 1) < MOST_PORTS:
            continue
        if not end.is_death or passed:
            _say_cause(end, folder)
            return end.code if end.code >= 0 else 128 - end.code
        attempt += 1
        how = f"was killed by {signal.Signals(-end.code).name}"
        if restarts is None or attempt > restarts:
            after = "" if restarts is None else f", after {plural(restarts, 'restart')} (distribute.restarts)"
            sys.stderr.write(f"error: rank {end.rank} {how}{after or '; start the run again'}\n")
            return 1
        sys.stderr.write(f"rank {end.rank} {how}: all ranks start again from the newest state\n")


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


def _say_cause(end: GroupEnd, folder: Path) -> None:
    """Repeat the message of a rank whose error ended the run; rank 0 has written its own."""
    if end.code and end.rank:
        lines = error_of(folder, end.rank) or [f"error: exit code {end.code}; its log is {folder / RANKS}"]
        sys.stderr.write("\n".join([f"rank {end.rank}:", *lines]) + "\n")


@contextmanager
def _passing_on(group: RankGroup) -> Iterator[Sequence[int]]:
    """Within the block, pass SIGINT and SIGTERM on to rank 0; gives a list of those that were.

    Python delivers signals to the main thread only; in other threads the block changes nothing.
    """
    passed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield passed
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed.append(number)
        group.signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
