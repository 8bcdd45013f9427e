"""One rank of a run that several processes do together: `python -m runner.rank NUMBER ADDRESS SCRATCH`.

The run comes on stdin, as JSON; SCRATCH is a folder for what is removed with the group.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from runner.distribute.group import NOT_CONNECTED
from runner.distribute.rank_files import DONE, log_file, note_error
from runner.distribute.ranks import Rank
from runner.errors import LostRankError, Terminated
from runner.exit import SignalsOfTheParent, guarded, interruptible, keep_terminal, leave, terminable

STDIN = 0

LAST_STEP_SECONDS = 10.0
"""How long the other ranks go on without a parent: rank 0 ends its step, which needs them, and saves its state."""


def main() -> int:
    """Do a run as one of several processes; the exit code."""
    number, address, scratch = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    parent = Parent(SignalsOfTheParent() if number else None)
    if number:
        sys.stdout = sys.stderr = io.TextIOWrapper(
            LogFile(sys.stdout.fileno()), "utf-8", "backslashreplace", write_through=True
        )
    with terminable():
        parent.take_signals()
        order = json.loads(sys.stdin.buffer.readline())
        threading.Thread(target=parent.watch, name="parent-watch", daemon=True).start()
        code = guarded(lambda: _noting_error(number, address, scratch, order, parent))
    if parent.is_gone:
        shutil.rmtree(scratch, ignore_errors=True)
    leave(code)
    return code


class LogFile(io.RawIOBase):
    """The log of a rank, to which lines are written until its disk is full; that ends no run."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor of the file."""
        return self._descriptor

    def write(self, data: Any) -> int:
        """Write bytes; returns their number."""
        with suppress(OSError):
            os.write(self._descriptor, data)
        return len(data)


class Parent:
    """The process that started the ranks, and holds the other end of stdin. `signals`: of a rank but 0."""

    def __init__(self, signals: SignalsOfTheParent | None) -> None:
        self._signals, self.is_gone = signals, False

    def take_signals(self) -> None:
        """Leave signals to the parent, which passes them on to rank 0; in rank 0 itself this changes nothing."""
        if self._signals is not None:
            self._signals.install()

    def watch(self) -> None:
        """End this process as SIGTERM does once the parent says so, or is gone."""
        self.is_gone = not os.read(STDIN, 1)  # not by the stream, whose lock would be held when the interpreter ends
        if self._signals is None:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if self.is_gone:
            time.sleep(LAST_STEP_SECONDS)
        self._signals.ends()


def _noting_error(number: int, address: str, scratch: Path, order: dict[str, Any], parent: Parent) -> int:
    """Take part, and leave an error for the other ranks and their parent. In the terminal is only Python of rank 0."""
    folder = Path(order["folder"])
    if number == 0:
        keep_terminal(log_file(folder, 0))
    try:
        return _take_part(number, address, scratch, order, parent)
    except LostRankError as error:  # which the parent explains in the terminal
        if number:
            sys.stderr.write(f"ended: {error}\n")
        return error.exit_code
    except Terminated as error:
        if number:  # which has no signals but those of the parent
            sys.stderr.write("ended with the others\n")
            return error.exit_code
        note_error(folder, number, error)
        raise
    except BaseException as error:
        note_error(folder, number, error)
        raise


def _take_part(number: int, address: str, scratch: Path, order: dict[str, Any], parent: Parent) -> int:
    """Connect to the other ranks, do the run, and leave together with them."""
    with interruptible("once all processes are connected") as interruption:  # imports lose what is raised in them
        from runner.training.backend import require_backend

        require_backend("jax")
        from runner.distribute.devices import connect, disconnect
        from runner.modes.follow import await_states, follow, naming_lost_rank
        from runner.modes.run import run
        from runner.modes.together import Origin
        from runner.settings import Settings

        settings = Settings.model_validate_json(json.dumps(order["settings"]))
        await_states(Path(order["folder"]), order["step"])
        rank, folder = Rank(number, settings.distribute.world), Path(order["folder"])
        try:
            connect(rank, address, settings.distribute)
        except Exception as error:  # another process took the port
            interruption.raise_if_requested()
            sys.stderr.write(f"rank {number}: {error}\n")
            return NOT_CONNECTED
    interruption.raise_if_requested()
    done = folder / DONE
    if rank.leads:
        origin = Origin(order["argv"], order["overrides"], tuple(map(Path, order["foreign_files"])))
        run(settings, folder=folder, origin=origin, rank=rank)
        done.touch()
    else:
        with naming_lost_rank(rank, folder):
            follow(settings, rank, folder, scratch)
        while not done.exists():  # rank 0 writes predictions and the page
            time.sleep(0.1)
    disconnect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
