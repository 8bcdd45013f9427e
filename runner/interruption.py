"""Ctrl-C and SIGTERM, answered when the step is done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from runner.errors import Terminated

STDERR = 2

SIGNALS: dict[signal.Signals, type[KeyboardInterrupt]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}


class Interruption:
    """Whether the run was asked to stop, and how."""

    def __init__(self) -> None:
        self.asked: type[KeyboardInterrupt] | None = None

    def obey(self) -> None:
        """Raise `KeyboardInterrupt`, or `Terminated`, if the run was asked to stop."""
        if self.asked is not None:
            raise self.asked


TOLD = b"interrupted: ending after this step, with its state written; once more ends at once\n"


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """In the block the first signal is noted, for `Interruption.obey`, and told; a second one acts as before the block.

    Only the main thread hears signals: elsewhere the block changes nothing.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def note(number: int, frame: FrameType | None) -> None:
        interruption.asked = SIGNALS[signal.Signals(number)]
        restore()
        os.write(STDERR, TOLD)  # not by a stream: the signal may have come within a write to it

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield interruption
    finally:
        restore()
