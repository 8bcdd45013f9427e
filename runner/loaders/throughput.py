"""How fast a loader gives batches, and what that costs.

How reading scales: a look at one thread, at all of them, and at processes where threads hold each other up.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, cycle, islice
from operator import attrgetter
from typing import TypeVar

import numpy as np

from runner.batch import Array
from runner.data.source import FileSource, Source
from runner.loaders.auto import num_processors
from runner.loaders.loader import Loader
from runner.machine import cpu_seconds


@dataclass(frozen=True)
class Pace:
    """Samples that came in so many seconds, and the processors' time they took, worker processes included."""

    num_samples: int
    seconds: float
    cpu_seconds: float
    first_batch_seconds: float = 0.0
    """From nothing to the first batch: workers started, and samples read that must be there before it."""

    @property
    def samples_per_second(self) -> float:
        """How fast they came."""
        return self.num_samples / self.seconds


AS_FAST = 0.9
"""Share of the best speed that counts as equally fast: two measurements of one loader differ by up to a tenth."""

Candidate = TypeVar("Candidate")


def as_fast_as_best(candidates: Iterable[Candidate], speed: Callable[[Candidate], float]) -> list[Candidate]:
    """The fastest of `candidates` and all that are about as fast, in their order; empty for no candidates.

    >>> as_fast_as_best([89, 90, 100], float)
    [90, 100]
    """
    speeds = [(speed(candidate), candidate) for candidate in candidates]
    enough = AS_FAST * max((fast for fast, _ in speeds), default=0.0)
    return [candidate for fast, candidate in speeds if fast >= enough]


def time_loader(
    loader: Loader, seconds: float, *, first_step: int = 0, warm_steps: int | None = None, round_steps: int = 1
) -> Pace:
    """The pace of a loader from `first_step` on, after its first epoch or `warm_steps`, for at least so many seconds.

    Rounds of so many steps are timed, at least one: as many as there are workers, who may be done all at once.
    """
    began = time.perf_counter()
    batches, first = loader.stream(first_step), 0.0
    for step in range(len(loader) if warm_steps is None else warm_steps):
        next(batches)
        first = first if step else time.perf_counter() - began
    rounds = (sum(map(len, islice(batches, round_steps))) for _ in count())
    return _time(rounds, seconds, first)


def time_files(source: FileSource, seconds: float) -> Pace:
    """The pace of one thread that gets the bytes of the files, which were read before, and does nothing with them."""
    return _time((_bytes_of(source, index) for index in cycle(range(len(source)))), seconds)


def time_samples(source: Source, seconds: float) -> Pace:
    """The pace of one thread that reads the samples one by one, decoded and not changed."""
    out = np.empty(source.spec.shape, source.spec.dtype)
    return _time((_read(source, index, out) for index in cycle(range(len(source)))), seconds)


def evenly(num_samples: int) -> Iterator[int]:
    """All indices, so that the first few are spread over all of them."""
    step = 1 << max(0, num_samples - 1).bit_length()
    yield from range(min(1, num_samples))
    while step > 1:
        yield from range(step // 2, num_samples, step)
        step //= 2


def _time(counts: Iterator[int], seconds: float, first_batch_seconds: float = 0.0) -> Pace:
    num_samples, cpu, began = 0, cpu_seconds(), time.perf_counter()
    for number in counts:
        num_samples += number
        if (took := time.perf_counter() - began) >= seconds:
            break
    return Pace(num_samples, took, cpu_seconds() - cpu, first_batch_seconds)


def _bytes_of(source: FileSource, index: int) -> int:
    source.path(index).read_bytes()
    return 1


def _read(source: Source, index: int, out: Array) -> int:
    source.read(index, out)
    return 1


FIRST_SECONDS, LOOK_SECONDS = 0.02, 0.2
"""How long samples are read one by one, to learn how long one takes, and how long each of the looks that follow is."""

WORTH_SECONDS = 2.0
"""How long one thread must need for all samples, to make it worth while to look."""

ROUND_SECONDS = 0.8
"""How long the workers may take for a sample each if they read one after the other: a look may be as long as that."""

BATCH_SECONDS = 0.02
"""How long one thread needs for a batch of a look: short beside the look, long beside what handing it over takes."""

LEAST_BUSY, MOST_BUSY = 0.25, 0.75
"""Processors that threads keep busy at least, and the share of theirs at most, which wait for the GIL."""

WARM_ROUNDS = 4
"""Batches that are not timed for each process, the last of which may start long after the first."""

PATIENCE_SECONDS = 5.0
"""How long a batch of a look may take, and processes to start."""

TURNS = 2
"""How often threads are looked at, in turns: the better look counts, as other work on the machine slows some."""

PARTS = 2 * TURNS + 1
"""Parts of the data, one for each look: none finds in memory what another has read."""


@dataclass(frozen=True)
class Readers:
    """Who reads: so many threads, or processes."""

    workers: int
    processes: bool = False

    def __str__(self) -> str:
        one, several = ("process", "processes") if self.processes else ("thread", "threads")
        return f"{self.workers} {one if self.workers == 1 else several}"


Open = Callable[[Readers, int], Loader]
"""Opens a loader with these readers and that many samples in a batch."""


@dataclass(frozen=True)
class Look:
    """How fast samples came from some readers, or why none came."""

    readers: Readers
    pace: Pace | None
    failure: str = ""

    @property
    def samples_per_second(self) -> float:
        """How fast they came; 0 if none did."""
        return self.pace.samples_per_second if self.pace else 0.0


@dataclass(frozen=True)
class Probe:
    """What the looks have shown; none where there was no use in looking, for the reason in `skipped`."""

    looks: tuple[Look, ...] = ()
    skipped: str = ""

    def best(self, workers: int | None = None) -> Readers:
        """The fastest, of those with so many workers where that is fixed; if others are about as fast, the fewest.

        Rather threads than processes.
        """
        looks = [look for look in self.looks if workers in (None, look.readers.workers)]
        close = as_fast_as_best(looks, lambda look: look.samples_per_second)
        return min((look.readers for look in close), key=lambda one: (one.workers, one.processes))

    def told(self) -> str:
        """The figures in words: `1 thread reads 310 samples/s, 12 threads 2,900`."""
        first, *others = self.looks
        told = [f"{first.readers} reads {first.samples_per_second:,.0f} samples/s"]
        for look in others:
            told.append(f"{look.readers} {f'{look.samples_per_second:,.0f}' if look.pace else look.failure}")
        return ", ".join(told)


def probe(open_loader: Open, workers: int, *, processes: bool) -> Probe:
    """Look at 1 thread, at `workers` threads, and, where `processes` may be used and threads do not scale, at these.

    Next to nothing is read where one thread is done with all samples soon.
    """
    try:
        with open_loader(Readers(1), 1) as loader:
            first = time_loader(loader, FIRST_SECONDS, warm_steps=1)
            num_samples = loader.num_samples
        one = first.seconds / first.num_samples
        if one * num_samples < WORTH_SECONDS:
            return Probe(skipped=f"1 thread reads all samples in {one * num_samples:.1f} s")
        if one * workers > ROUND_SECONDS:
            return Probe(skipped=f"a sample takes {one:.2f} s")
        size = max(1, int(BATCH_SECONDS / one))
        turns = (Readers(1), Readers(workers)) * TURNS
        paces = [_pace(open_loader, readers, size, part) for part, readers in enumerate(turns)]
    except Exception as error:  # whatever is wrong with the samples, the run will meet and tell
        return Probe(skipped=_line(error))
    alone, together = (max(paces[first::2], key=attrgetter("samples_per_second")) for first in (0, 1))
    looks = [Look(Readers(1), alone), Look(Readers(workers), together)]
    if processes and hold_each_other_up(alone, together, min(workers, num_processors())):
        looks.append(_look_at_processes(open_loader, Readers(workers, processes=True), size))
    return Probe(tuple(looks))


def _pace(open_loader: Open, readers: Readers, batch_size: int, part: int) -> Pace:
    """The pace in one of the parts of the data; the start of threads takes no time, that of processes is not timed."""
    warm_steps = WARM_ROUNDS * readers.workers if readers.processes else 0
    with open_loader(readers, batch_size) as loader:
        begin = len(loader) * part // PARTS
        return time_loader(loader, LOOK_SECONDS, first_step=begin, warm_steps=warm_steps, round_steps=readers.workers)


def _look_at_processes(open_loader: Open, readers: Readers, batch_size: int) -> Look:
    try:
        return Look(readers, _pace(open_loader, readers, batch_size, PARTS - 1))
    except Exception as error:
        # Processes import a script that starts them without `if __name__ == "__main__":`, and must not go on with it.
        if multiprocessing.parent_process() is not None:
            raise
        return Look(readers, None, f"cannot read them ({_line(error)})")


def hold_each_other_up(one: Pace, many: Pace, processors: int) -> bool:
    """Whether threads gain less than half of what the processors allow, and are held up by neither these nor a disk.

    Threads that wait for a disk keep no processor busy, threads that compute all of them; those that wait for the GIL
    about one.
    """
    gain = many.samples_per_second / one.samples_per_second
    busy = many.cpu_seconds / many.seconds
    return gain < (1 + processors) / 2 and LEAST_BUSY <= busy <= MOST_BUSY * processors


def _line(error: Exception) -> str:
    """What went wrong, without how to mend it."""
    return " ".join(str(error).partition(";")[0].split()) or type(error).__name__
