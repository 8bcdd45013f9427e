"""Clocks that stand still unless a test moves them, so that no test depends on the speed of the machine."""

import cProfile
import pstats
import threading
from types import SimpleNamespace

READ_BY = ("runner.loaders.reader", "runner.loaders.timing", "runner.images.decoder")
"""Modules that take the time of loading."""


class ThreadClock:
    """A clock of each thread's own: it moves by what the thread sleeps, and by a microsecond at each reading."""

    def __init__(self):
        self._thread = threading.local()

    def perf_counter_ns(self):
        self._thread.now = getattr(self._thread, "now", 0) + 1_000
        return self._thread.now

    def sleep(self, seconds):
        self._thread.now = getattr(self._thread, "now", 0) + round(seconds * 1e9)

    def install(self, patch):
        """Replace the clock of loading, by `monkeypatch` or, in a worker process, for good."""
        for module in READ_BY:
            patch.setattr(f"{module}.perf_counter_ns", self.perf_counter_ns)


class VirtualTime:
    """Wall and processor time of all threads together; they move by `advance`, and by `tick` at each reading."""

    def __init__(self, tick=0.0):
        self.now = self.cpu = 0.0
        self.tick = tick

    def perf_counter(self):
        self.now += self.tick
        return self.now

    def perf_counter_ns(self):
        return round(self.perf_counter() * 1e9)

    def install(self, patch):
        """Replace the clock of the wait for data, by `monkeypatch` or, in a process of its own, for good."""
        patch.setattr("runner.loaders.timing.perf_counter_ns", self.perf_counter_ns)
        patch.setattr("runner.callbacks.epoch_timer.time", self.module)

    def advance(self, seconds, cpu=0.0):
        self.now += seconds
        self.cpu += cpu

    @property
    def module(self):
        """Stands for the module `time`."""
        return SimpleNamespace(perf_counter=self.perf_counter, monotonic=self.perf_counter)


def calls_of(function, *args, **kwargs):
    """How many function calls it takes: the same number on every machine, however busy."""
    profile = cProfile.Profile()
    profile.runcall(function, *args, **kwargs)
    return pstats.Stats(profile).total_calls
