"""The processes of a group, started and watched by the one that the user started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory

from runner.distribute.group_end import GroupEnd, cause_of, record_death, record_error
from runner.distribute.rank_files import (
    DONE,
    RANKS,
    START,
    error_of,
    log_file,
    note_death,
    remove_handed_in,
)
from runner.errors import RunnerError, Terminated
from runner.exit import INTERRUPTED, noting_signals

COMMAND = (sys.executable, "-m", "runner.rank")

END = b"end"
"""The line that a rank gets when it is to end."""

NOT_CONNECTED = 75
"""Exit code of a rank that could not connect to the others."""

MOST_PORTS = 5
"""The most free ports to try: another process may take one before rank 0 does."""

GRACE_SECONDS = 2.0
"""From SIGTERM to SIGKILL. A rank that waits for another one in a collective runs no handler of a signal."""

WATCH_SECONDS = 0.05
INTERRUPTIONS = (INTERRUPTED, Terminated.exit_code)

SETTLE_SECONDS = 0.5
"""How long to wait for the cause after a rank has ended: the others may notice it first, and end with an error."""

END_SECONDS = 120.0
"""How long the other ranks may take to end after rank 0."""


class NoOthers:
    """The other hosts of a group: none. `runner.distribute.hosts` has those of several hosts."""

    delay_seconds = 0.0
    """How long after a rank of another host has ended it may be seen here."""

    def address(self) -> str:
        """Where rank 0 listens."""
        return f"127.0.0.1:{free_port()}"

    def begin(self, address: str, order: bytes) -> None:
        """Have the others start their ranks."""

    def ended(self) -> Mapping[int, int]:
        """The exit codes of ranks of other hosts that have ended."""
        return {}

    def signals(self) -> Sequence[Sequence[int]]:
        """The signals that each of the others has got."""
        return ()

    def end(self) -> None:
        """Have the others end their ranks, and wait for that."""

    def say(self, text: str) -> None:
        """Have the others write a message to their terminals."""


class RankGroup:
    """The ranks of one attempt, each in a process group of its own: Ctrl-C in the terminal reaches only the parent.

    `numbers` are those of this host; `others` has the rest. Each gets the run on stdin, a pipe that stays open: a rank
    ends once its other end is gone. What ranks but 0 write for themselves is in a temporary folder that is removed with
    the group: one that is killed removes nothing.
    """

    def __init__(
        self, numbers: range, address: str, order: bytes, folder: Path, others: NoOthers | None = None
    ) -> None:
        self._scratch = TemporaryDirectory(prefix="keras-runner-ranks-", ignore_cleanup_errors=True)
        words = (address, self._scratch.name)
        self._others, self._is_closing = others or NoOthers(), False
        self._folder, self._noted = folder, set[int]()
        self.ranks: dict[int, subprocess.Popen[bytes]] = {}
        self.num_signals = 0
        """The signals that rank 0 has got."""
        try:
            for number in numbers:
                self.ranks[number] = _started(number, words, order, folder)
        except BaseException:
            self.close()
            raise

    def signal(self, numbers: Sequence[int]) -> None:
        """Pass the last of the signals that a host has got on to rank 0, which writes its state after its step.

        Not if another host has got as many: a scheduler sends a signal to each.
        """
        if len(numbers) > self.num_signals:
            self.num_signals = len(numbers)
            with suppress(ProcessLookupError):
                os.kill(self.ranks[0].pid, numbers[-1])

    def ended(self) -> dict[int, int]:
        """The exit codes of the ranks of this host that have ended, by number; negative: of a signal.

        The log of one that was killed says so, for rank 0 to record.
        """
        ended = {number: code for number, rank in self.ranks.items() if (code := rank.poll()) is not None}
        for number in ended.keys() - self._noted if not self._is_closing else ():
            self._noted.add(number)
            if number and ended[number] < 0 and ended[number] != -signal.SIGABRT:
                note_death(self._folder, number, ended[number])
        return ended

    def wait(self, world: int) -> GroupEnd:
        """Wait until rank 0 of `world`, or another one with an error, has ended; then end all others of this host."""
        while 0 not in (ended := self._all_ended()) and not any(ended.values()):
            for numbers in self._others.signals():
                self.signal(numbers)
            time.sleep(WATCH_SECONDS)
        if any(ended.values()):
            time.sleep(SETTLE_SECONDS + self._others.delay_seconds)
            ended |= self._all_ended()  # after those that ended first
        end = cause_of(ended, world)
        limit = time.monotonic() + END_SECONDS
        while end.code == 0 and len(self._all_ended()) < world and time.monotonic() < limit:
            time.sleep(WATCH_SECONDS)
        self.close()
        return end

    def _all_ended(self) -> dict[int, int]:
        return {**self.ended(), **self._others.ended()}

    def close(self) -> None:
        """End all ranks of this host that still run."""
        self._is_closing = True
        for rank in self.ranks.values():
            if rank.poll() is None:
                with suppress(BrokenPipeError):
                    _write(rank, END)  # without it a rank leaves signals to its parent
                rank.terminate()
        limit = time.monotonic() + GRACE_SECONDS
        while len(self.ended()) < len(self.ranks) and time.monotonic() < limit:
            time.sleep(WATCH_SECONDS)
        for rank in self.ranks.values():
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
        with _log(log_file(folder, number)) as log:
            with suppress(OSError):  # the disk is full: a log may lack lines
                log.write(START.encode())
            rank = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, process_group=0
            )
    with suppress(BrokenPipeError):  # it has died, which is noticed soon
        _write(rank, order)
    return rank


def _log(file: Path) -> FileIO:
    try:
        return file.open("ab", buffering=0)
    except OSError as error:
        raise RunnerError(f"cannot write {file}: {error.strerror or error}") from error


def _write(rank: subprocess.Popen[bytes], line: bytes) -> None:
    if rank.stdin is not None:
        rank.stdin.write(line + b"\n")
        rank.stdin.flush()


@dataclass(frozen=True)
class World:
    """How many ranks a group has, on this host and on all together, and its other hosts."""

    local: int
    size: int
    others: NoOthers = field(default_factory=NoOthers)


def supervise(world: World, restarts: int | None, order_of: Callable[[int], bytes], folder: Path) -> int:
    """Do a run with the ranks of `world`; the exit code.

    `order_of` gives the run for each attempt, as bytes on one line. After the death of a rank the group is started
    again, at most `restarts` times, None if the run keeps no state; an error of the run ends it.
    """
    (folder / RANKS).mkdir(parents=True, exist_ok=True)
    try:
        return _supervised(world, restarts, order_of, folder)
    finally:
        remove_handed_in(folder)


def _supervised(world: World, restarts: int | None, order_of: Callable[[int], bytes], folder: Path) -> int:
    attempt, ports, others = 0, 0, world.others
    while True:
        (folder / DONE).unlink(missing_ok=True)
        remove_handed_in(folder)
        address, order = others.address(), order_of(attempt)
        others.begin(address, order)
        group = RankGroup(range(world.local), address, order, folder, others)
        try:
            with noting_signals(group.signal):
                end = group.wait(world.size)
        finally:
            group.close()
        others.end()
        if end.code == NOT_CONNECTED and (ports := ports + 1) < MOST_PORTS:
            continue
        if end.code == NOT_CONNECTED:
            _say(f"error: rank {end.rank} could not connect at {address}, nor at {MOST_PORTS - 1} before it", others)
            return 1
        if not end.is_death:
            has_said = end.rank == 0 and (error_of(folder, 0) is not None or end.code in INTERRUPTIONS)
            if end.code and has_said:  # in the terminal of this host
                others.say(record_error(end, folder))
            elif end.code:
                _say(record_error(end, folder), others)
            return end.code
        if group.num_signals:  # before rank 0 could handle one
            _say("error: interrupted", others)
            return 128 - end.code if end.code < 0 else INTERRUPTED
        attempt += 1
        if restarts is None or attempt > restarts:
            _say(record_death(end, folder, restarts), others)
            return 1
        _say(f"{end}: all ranks start again from the newest state", others)


def _say(text: str, others: NoOthers) -> None:
    sys.stderr.write(f"{text}\n")
    others.say(text)


def free_port() -> int:
    """A port that no process of this host has now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
