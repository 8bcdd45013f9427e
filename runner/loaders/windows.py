"""Windows of blocks (`loader.order=blocks`): one thread reads the next window while the samples of this one are used.

    reads = windows.read(first_step, num_steps)       one pass, or several: a thread starts
    with reads.using(epoch, step): …                  here the samples of a batch are in memory
    reads.close()

Two windows are in memory at most, in buffers that worker processes share. A buffer is free once all batches of its
window are done. Samples whose bytes are in no window read them by themselves: so a block that cannot be read makes no
errors of its own, and batches hold the same bits with windows and without.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_native_id
from time import perf_counter_ns
from typing import Protocol

from runner.data.places import Spans
from runner.data.source import Source
from runner.errors import WorkerError
from runner.loaders.block_order import BlockTable
from runner.loaders.blocks import NUM_WINDOWS
from runner.loaders.plan import Plan
from runner.loaders.timing import Clock, WorkSpan
from runner.loaders.window_buffers import Key, WindowBuffers
from runner.loaders.window_bytes import Runs, WindowBytes
from runner.place import using_fetched
from runner.watchdog import watched

NONE_LEFT: Key = (2**63, 0)
"""Greater than the key of any window."""

WAIT_SECONDS = 0.5
"""The longest single wait for a window, so that a process that was stopped has not waited all the time."""

CLOSE_SECONDS = 2.0
"""How long closing waits for a read."""


class Waiting(Protocol):
    """A batch that is to start once its windows are read."""

    keys: list[Key]

    def start(self) -> None:
        """Start; never raises."""


class Windows(WindowBuffers):
    """The windows of one loader; one iteration at a time reads them."""

    def __init__(self, plan: Plan, table: BlockTable, source: Source, spans: Spans) -> None:
        super().__init__(plan, table, source, spans)
        self.in_use: WindowReads | None = None

    def read(
        self, first_step: int, num_steps: int | None, clock: Clock, timeout_seconds: float = math.inf
    ) -> WindowReads | None:
        """Start to read the windows of `num_steps` batches from global step `first_step` on; None: without an end.

        Returns None, and reads nothing, while another iteration of the loader has the buffers.
        """
        with self.changed:
            if self.in_use is not None:
                return None
            self.in_use = reads = WindowReads(self, first_step, num_steps, clock, timeout_seconds)
        reads.start()
        return reads

    def close(self) -> None:
        """Stop to read, and free the memory."""
        if (reads := self.in_use) is not None:
            reads.close()
        self.drop_buffers()


class WindowReads:
    """Windows that are read in the order of the batches, which must be taken in that order."""

    def __init__(
        self, windows: Windows, first_step: int, num_steps: int | None, clock: Clock, timeout_seconds: float
    ) -> None:
        self._windows, self.changed, self._plan = windows, windows.changed, windows.plan
        self._next_step = first_step
        self._end = math.inf if num_steps is None else first_step + num_steps
        self._clock, self._timeout_seconds = clock, timeout_seconds
        self._buffers = windows.buffers
        self._buffer_of: dict[Key, int] = {}
        self._runs: dict[Key, Runs] = {}
        self._num_users: Counter[Key] = Counter()
        self._oldest: Key = (0, 0)
        self._waiting: deque[Waiting] = deque()
        self._spans: deque[WorkSpan] = deque()
        self._num_parts, self._is_stopped = 0, False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._read_all, name="loader-windows", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, within `CLOSE_SECONDS`. Buffers are free once no batch is read from them."""
        with self.changed:
            self._is_stopped, self._oldest = True, NONE_LEFT
            if self._windows.in_use is self:
                self._windows.in_use = None
            self._recycle()
            self.changed.notify_all()
        if self._thread is not threading.current_thread():  # the garbage collector may run in it
            self._thread.join(CLOSE_SECONDS)

    def next_windows(self) -> list[Key]:
        """The windows of the next batch, as of `lease`."""
        step, self._next_step = self._next_step, self._next_step + 1
        return self.lease(*divmod(step, self._plan.num_steps))

    def lease(self, epoch: int, step: int) -> list[Key]:
        """The windows of a batch, which stay in memory until `release`. Those before them are needed no more.

        Of a batch in more windows than there are buffers, the samples in the last ones read themselves.
        """
        keys = self._windows.of_batch(epoch, step)[:NUM_WINDOWS]
        with self.changed:
            self._num_users.update(keys)
            self._oldest = max(self._oldest, keys[0])
            self._recycle()
        return keys

    def release(self, keys: list[Key]) -> None:
        """End the use of windows by a batch."""
        with self.changed:
            self._num_users.subtract(keys)
            self._recycle()

    def _is_past(self, key: Key) -> bool:
        """Whether no batch needs a window any more."""
        return key < self._oldest and not self._num_users[key]

    def _recycle(self) -> None:
        for key in list(filter(self._is_past, self._runs)):
            del self._runs[key], self._num_users[key]
            self._windows.free.append(self._buffer_of.pop(key))
            self.changed.notify_all()

    @contextmanager
    def using(self, epoch: int, step: int) -> Iterator[None]:
        """Wait for the windows of a batch; in the block, this thread takes the bytes of its samples from them."""
        keys = self.lease(epoch, step)
        try:
            self.wait_until(lambda: self.are_read(keys))
            with using_fetched(self.bytes_of(keys)):
                yield
        finally:
            self.release(keys)

    def are_read(self, keys: list[Key]) -> bool:
        """Whether these windows are in memory."""
        with self.changed:
            return all(key in self._runs for key in keys)

    def bytes_of(self, keys: list[Key]) -> WindowBytes:
        """The bytes of these windows."""
        with self.changed:
            return WindowBytes([self._runs[key] for key in keys], self._buffers)

    def start_when_read(self, batch: Waiting) -> None:
        """Start a batch once its windows are read; batches start in their order."""
        self._waiting.append(batch)
        self._start_batches()

    def drop(self, batch: Waiting) -> bool:
        """Whether a batch had not started; it will not."""
        with self.changed:
            if is_waiting := batch in self._waiting:
                self._waiting.remove(batch)
            return is_waiting

    def _start_batches(self) -> None:
        while True:
            with self.changed:
                if not self._waiting or not self.are_read(self._waiting[0].keys):
                    return
                batch = self._waiting.popleft()
            batch.start()

    def wait_until(self, is_done: Callable[[], bool]) -> None:
        """Wait until `is_done`, and count the reads so far as work.

        Raises the error of the thread, or `WorkerError` if no part of a file is read within the limit.
        """
        while not is_done():
            if self._failure is not None:
                raise self._failure
            with watched(lambda: "a block of samples"):
                self._wait_for_part(is_done)
        while self._spans:
            self._clock.add(self._spans.popleft())

    def _wait_for_part(self, is_done: Callable[[], bool]) -> None:
        with self.changed:
            before, left = self._num_parts, self._timeout_seconds
            while self._num_parts == before and self._failure is None and not is_done():
                if left <= 0:
                    raise WorkerError(
                        f"no part of a block was read within loader.timeout_seconds={self._timeout_seconds:g}; the "
                        "storage may hang: raise loader.timeout_seconds"
                    )
                self.changed.wait(WAIT_SECONDS)
                left -= WAIT_SECONDS

    def _read_all(self) -> None:
        try:
            for key in self._windows.keys(self._next_step, self._end):
                if not self._read_window(key):
                    return
                self._start_batches()
        except BaseException as error:
            with self.changed:
                self._failure = error
                self.changed.notify_all()

    def _read_window(self, key: Key) -> bool:
        """Read a window as soon as there is a buffer for it, unless no batch needs it; False once stopped."""
        with self.changed:
            while not (self._windows.free or self._is_stopped):
                self.changed.wait()
            if self._is_stopped or self._is_past(key):
                return not self._is_stopped
            number = self._windows.free.pop()
        runs = None
        try:
            begin = perf_counter_ns()
            runs, num_samples = self._windows.fill(self._buffers, number, key, self._goes_on)
            end = perf_counter_ns()
            self._spans.append(WorkSpan(get_native_id(), begin, end, num_samples, fetch=end - begin))
        finally:
            with self.changed:
                if runs is None or self._is_stopped:
                    self._windows.free.append(number)
                else:
                    self._runs[key], self._buffer_of[key] = runs, number
                    self._recycle()  # no batch may need it any more
                self.changed.notify_all()
        return not self._is_stopped

    def _goes_on(self) -> bool:
        """Whether to read the next part of a file; counts it, as a sign that the storage does not hang."""
        self._num_parts += 1
        return not self._is_stopped
