"""One rank of a run that several processes do together: `python -m runner.rank NUMBER ADDRESS SCRATCH`.

The run comes on stdin, as JSON; SCRATCH is a folder for what is removed with the group.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from runner.distribute.exchange import note_error
from runner.distribute.group import DONE, NOT_CONNECTED, error_file
from runner.distribute.ranks import Rank
from runner.exit import error_text, guarded, leave, terminable

STDIN = 0


def main() -> int:
    """Do a run as one of several processes; the exit code."""
    number, address, scratch = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_parent, name="parent-watch", daemon=True).start()
    with terminable():
        code = guarded(lambda: _noting_error(number, address, scratch, order))
    if code and number:
        note_error(Path(order["folder"]), number)
    leave(code)
    return code


def _noting_error(number: int, address: str, scratch: Path, order: dict[str, Any]) -> int:
    """Take part; the terminal that gets the errors of rank 0 is that of its host, so other hosts get them by a file."""
    try:
        return _take_part(number, address, scratch, order)
    except BaseException as error:
        if number == 0 and order["settings"]["distribute"].get("hosts", 1) > 1:
            error_file(Path(order["folder"]), 0).write_text(error_text(error) + "\n", "utf-8", "backslashreplace")
        raise


def _take_part(number: int, address: str, scratch: Path, order: dict[str, Any]) -> int:
    """Connect to the other ranks, do the run, and leave together with them."""
    from runner.training.backend import require_backend

    require_backend("jax")
    from runner.distribute.devices import connect, disconnect
    from runner.modes.follow import await_states, follow
    from runner.modes.run import run
    from runner.modes.together import Origin
    from runner.settings import Settings

    settings = Settings.model_validate_json(json.dumps(order["settings"]))
    await_states(Path(order["folder"]), order["step"])
    rank, folder = Rank(number, settings.distribute.world), Path(order["folder"])
    try:
        connect(rank, address, settings.distribute)
    except Exception as error:  # another process took the port
        sys.stderr.write(f"rank {number}: {error}\n")
        return NOT_CONNECTED
    done = folder / DONE
    if rank.leads:
        origin = Origin(order["argv"], order["overrides"], tuple(map(Path, order["foreign_files"])))
        with terminable():  # JAX has taken SIGTERM
            run(settings, folder=folder, origin=origin, rank=rank)
        done.touch()
    else:
        follow(settings, rank, folder, scratch)
        while not done.exists():  # rank 0 writes predictions and the page
            time.sleep(0.1)
    disconnect()
    return 0


def _end_with_the_parent() -> None:
    """End as after SIGTERM once the process that started the ranks is gone: it holds the other end of stdin."""
    os.read(STDIN, 1)  # not by the stream, whose lock would be held when the interpreter ends
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
