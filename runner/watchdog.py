"""A time limit for reads in the main thread, which waits meanwhile: for storage that hangs, or for the user's code.

    with Watchdog(timeout_seconds=60):
        with watched(lambda: "sample cats/1.png"):
            …                                       # WorkerError if it takes longer

Other threads are watched by whoever waits for them. The time counts only while the process runs: a process that is
stopped and continued (Ctrl-Z, a suspended job, a paused container) reads nothing meanwhile, and its clock goes on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

from runner.errors import WorkerError

SIGNAL = signal.SIGURG
"""Interrupts what the main thread waits for. Without a handler it does nothing, and any program may get it."""

TICK_SECONDS = 0.5
"""How often the watchdog looks; a stop of the process counts as one look at most."""

GRACE_SECONDS = 5.0
"""How long a read that ignores its interruption may go on before the watchdog gives it up."""


class _Read:
    """A read that is watched; `describe` names what is read."""

    __slots__ = ("describe", "is_late")

    def __init__(self, describe: Callable[[], str]) -> None:
        self.describe, self.is_late = describe, False


class Watchdog:
    """Interrupts a `watched` read in the main thread after `timeout_seconds`, within `watching`.

    `give_up` is called with the error, in another thread, if a read cannot be interrupted: a system call that waits for
    a network file system ends only with the process. One watchdog is active at a time; within the block of another one,
    and outside of the main thread, `watching` changes nothing. Its thread ends with `close`, or soon after the block.
    """

    active: ClassVar[Watchdog | None] = None

    def __init__(self, timeout_seconds: float, give_up: Callable[[WorkerError], None] = lambda error: None) -> None:
        self._timeout_seconds, self._give_up = timeout_seconds, give_up
        self._read: _Read | None = None
        self._is_needed = False
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the reads of the block."""
        if Watchdog.active is not None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(SIGNAL, self._interrupt)
        Watchdog.active, self._is_needed = self, True
        self._start()
        try:
            yield
        finally:
            Watchdog.active, self._is_needed = None, False
            signal.signal(SIGNAL, before or signal.SIG_DFL)

    def close(self) -> None:
        """End the thread; it starts again with the next block."""
        self._closed.set()
        if (thread := self._thread) is not None:
            thread.join()

    @contextmanager
    def limiting(self, describe: Callable[[], str]) -> Iterator[None]:
        """Limit the time of one read; raises `WorkerError`, even if the user's code caught the interruption."""
        outer, self._read = self._read, (read := _Read(describe))
        try:
            yield
        finally:
            self._read = outer
            if read.is_late:
                raise self._error(read) from None

    def _start(self) -> None:
        with self._lock:  # the thread may just be ending
            if self._thread is None:
                self._closed.clear()
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        last, left = None, self._timeout_seconds
        while not self._has_ended():
            read = self._read
            if read is None or read is not last:
                last, left = read, self._timeout_seconds
                continue
            left -= TICK_SECONDS
            if left <= 0:
                read.is_late = True
                signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)
            if left <= -GRACE_SECONDS:
                self._give_up(self._error(read))
                left = self._timeout_seconds

    def _has_ended(self) -> bool:
        """Wait until the next look; whether there is none."""
        was_needed = self._is_needed
        self._closed.wait(min(TICK_SECONDS, self._timeout_seconds))
        with self._lock:
            if self._closed.is_set() or not (was_needed or self._is_needed):
                self._thread = None
            return self._thread is None

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._read is not None and self._read.is_late:
            raise self._error(self._read)

    def _error(self, read: _Read) -> WorkerError:
        return WorkerError(
            f"{read.describe()} could not be read within loader.timeout_seconds={self._timeout_seconds:g}; the storage "
            "may hang, or samples take longer to read: raise loader.timeout_seconds"
        )


@contextmanager
def watched(describe: Callable[[], str]) -> Iterator[None]:
    """Watch the block, a read that `describe` names, if a watchdog is active and this is the main thread.

    Raises `WorkerError` after the time limit.
    """
    watchdog = Watchdog.active
    if watchdog is None or threading.current_thread() is not threading.main_thread():
        yield
    else:
        with watchdog.limiting(describe):
            yield
