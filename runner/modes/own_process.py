"""A function in a fresh process of its own, whose memory is watched while it works."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from runner.errors import RunnerError, WorkerError
from runner.machine import memory_bytes

EVERY_SECONDS = 0.05
"""How often memory is looked at."""

LEAVE_SECONDS = 5.0
"""How long a process may take to end once it is done."""

Start = Callable[[], None]
Result = TypeVar("Result")


def in_own_process(function: Callable[..., Result], *arguments: Any, limit_seconds: float) -> tuple[Result, int]:
    """`function(start, *arguments)` from a process that has imported nothing else; all must be picklable.

    Beside it, the most bytes of memory the process and its children took beyond what they had at `start()`.
    Raises what the function raises; `WorkerError` where its process dies, or takes longer than the limit. However it
    ends, the process is gone.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        watched = _watch(ours, process.pid or 0, limit_seconds)
        process.join(LEAVE_SECONDS)
        return watched
    except EOFError as error:
        process.join()
        raise WorkerError(f"its process died (exit code {process.exitcode}), killed for memory perhaps") from error
    finally:
        process.kill()
        process.join()
        ours.close()


def _watch(pipe: Connection, pid: int, limit_seconds: float) -> tuple[Any, int]:
    at_start, peak, deadline = None, 0, time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        if not pipe.poll(EVERY_SECONDS):
            if at_start is not None:
                peak = max(peak, memory_bytes(pid))
            continue
        said = pipe.recv()
        peak = max(peak, memory_bytes(pid))
        if isinstance(said, BaseException):
            raise said
        if at_start is not None:
            pipe.send(None)
            return said[0], max(0, peak - at_start)
        at_start = peak
        pipe.send(None)
    raise WorkerError(f"it took longer than {limit_seconds:.0f} s")


def _serve(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Tell when `function` starts, and wait until that was taken note of; likewise when it is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent as well, which ends us

    def exchange(message: object) -> None:
        pipe.send(message)
        pipe.recv()

    with suppress(EOFError, BrokenPipeError):  # the parent was killed
        try:
            exchange((function(lambda: exchange(None), *arguments),))
        except RunnerError as error:
            pipe.send(error)
        except Exception as error:
            pipe.send(WorkerError(f"{type(error).__name__}: {error}"))
