"""How a command ends: its exit code, and what is told on stderr when something is wrong.

Ctrl-C and SIGTERM, answered when the step is done.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from runner.errors import ConfigurationError, RunnerError, Terminated

INTERRUPTED = 130
BACKENDS = ("tensorflow", "jax", "torch")


def guarded(action: Callable[[], int], what: str = "the configuration") -> int:
    """The exit code of an action, or of the exception it ended with, which is told on stderr.

    Several problems at once are counted as problems in `what`.
    """
    try:
        return action()
    except ConfigurationError as error:
        many = len(error.problems) > 1
        complain(f"{len(error.problems)} problems in {what}" if many else error.problems[0],
                 *(error.problems if many else ()))  # fmt: skip
        return error.exit_code
    except RunnerError as error:
        complain(*str(error).splitlines())
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        complain("interrupted")
        return getattr(interrupt, "exit_code", INTERRUPTED)
    except Exception:
        traceback.print_exc()
        return 1


def complain(first: str, *others: str) -> None:
    """Say on stderr what is wrong."""
    sys.stdout.flush()
    sys.stderr.write("\n  ".join((f"error: {first}", *others)) + "\n")


def leave(code: int) -> None:
    """End the process at once if a backend was used, or return.

    After a `fit` on TensorFlow that was interrupted the interpreter hangs at exit, waiting for threads that wait for
    a batch. All files are written and closed by now; what is buffered goes out here.
    """
    if any(backend in sys.modules for backend in BACKENDS):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that the record is closed; a second one ends the process."""

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
