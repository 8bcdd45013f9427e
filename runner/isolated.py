"""Processes apart from the program that starts them: they import nothing of its script, and take no signals."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_STARTING = threading.Lock()


class IsolatedProcess(SpawnProcess):
    """A spawned process that only the program ends, and that imports the main script only if `imports_script` is set.

    By itself a spawned process imports the script. One without `if __name__ == "__main__":` would start over in each
    process, and one that imports TensorFlow would take its memory in each. And a signal to a whole group, as by Ctrl-C
    in a terminal or by `scancel`, would end the process before the program has saved its state.
    """

    imports_script = False

    def start(self) -> None:
        """Start the process, from any thread."""
        resource_tracker.ensure_running()  # which would allow the signals again, if it was started within the block
        with _STARTING, _blocked_signals():
            if self.imports_script:
                super().start()
            else:
                with _hidden_script():
                    super().start()

    def run(self) -> None:
        """Do the work, in the process. It may start programs, which take signals as usual."""
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)  # SIG_IGN and blocked signals would stay so in a program
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        super().run()

    def terminate(self) -> None:
        """End the process by SIGKILL, as it takes no other signal."""
        self.kill()


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Within the block, this thread takes no signals, nor does a process that it starts, until that allows them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _hidden_script() -> Iterator[None]:
    """Within the block, `multiprocessing` finds no script to import: the main module says that it has no file."""
    main = sys.modules["__main__"]
    kept: dict[str, Any] = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(kept)


MOST_BYTES_OF_NAMES = 1 << 20
"""Pickle writes names in pieces of 64 KiB, and the bytes of a large array in one piece."""


class _Searched:
    """A file that keeps nothing, and notes whether what is written names the main module."""

    names_main = False

    def write(self, data: Any) -> int:
        is_array = len(data) > MOST_BYTES_OF_NAMES
        self.names_main = self.names_main or (not is_array and b"__main__" in bytes(data))
        return len(data)


def is_of_script(value: Any) -> bool:
    """Whether a process needs the main script to get `value`; raises what pickle does if it cannot be sent."""
    searched = _Searched()
    ForkingPickler(searched).dump(value)
    return searched.names_main
