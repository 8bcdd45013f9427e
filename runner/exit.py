"""How a command ends: its exit code, and what is told on stderr when something is wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys
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
