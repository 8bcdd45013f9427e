"""How fast loaders deliver samples, what that costs, and how reading scales with threads and processes.

`time_loader` and its siblings measure a `Throughput`. `measure_scaling` compares one thread, all threads and, where
threads block each other, processes; `loader=auto` chooses its workers from the result.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, cycle, islice
from operator import attrgetter
from typing import TypeVar

from runner.data.source import Source
from runner.fields import Values
from runner.loaders.auto import num_processors
from runner.loaders.loader import Loader
from runner.machine import cpu_seconds
from runner.messages import plural
from runner.place import Place
from runner.watchdog import watched


@dataclass(frozen=True)
class Throughput:
    """Samples delivered in `seconds`, and the CPU time they took, worker processes included."""

    num_samples: int
    seconds: float
    cpu_seconds: float
    first_batch_seconds: float = 0.0
    """Time to the first batch: workers start, and `in_memory` reads all samples."""

    @property
    def samples_per_second(self) -> float:
        """Samples per second of wall time."""
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
) -> Throughput:
    """Throughput of a loader from `first_step` on, after its first epoch or `warm_steps`, for at least `seconds`.

    Whole rounds of `round_steps` are timed, at least one. Several workers may finish at the same moment, so a round
    should have a batch for each of them.
    """
    began = time.perf_counter()
    batches, first = loader.stream(first_step), 0.0
    for step in range(len(loader) if warm_steps is None else warm_steps):
        next(batches)
        first = first if step else time.perf_counter() - began
    rounds = (sum(map(len, islice(batches, round_steps))) for _ in count())
    return _time(rounds, seconds, first)


def time_files(source: Source, seconds: float) -> Throughput:
    """Throughput of one thread that only reads the bytes of the files, which are in the page cache already."""
    return _time((_fetch(source.places(index)) for index in cycle(range(len(source)))), seconds)


def time_samples(source: Source, seconds: float) -> Throughput:
    """Throughput of one thread that reads and decodes the samples one by one, without transforms."""
    out = source.spec.empty()
    return _time((_read(source, index, out) for index in cycle(range(len(source)))), seconds)


def evenly(num_samples: int) -> Iterator[int]:
    """All indices once, in an order whose first few are spread evenly."""
    step = 1 << max(0, num_samples - 1).bit_length()
    yield from range(min(1, num_samples))
    while step > 1:
        yield from range(step // 2, num_samples, step)
        step //= 2


def _time(counts: Iterator[int], seconds: float, first_batch_seconds: float = 0.0) -> Throughput:
    num_samples, cpu_before, began = 0, cpu_seconds(), time.perf_counter()
    for number in counts:
        num_samples += number
        if (took := time.perf_counter() - began) >= seconds:
            break
    return Throughput(num_samples, took, cpu_seconds() - cpu_before, first_batch_seconds)


def _fetch(places: Iterable[Place]) -> int:
    for place in places:
        place.fetch()
    return 1


def _read(source: Source, index: int, out: Values) -> int:
    with watched(lambda: f"sample {source.ids[index]}"):
        source.read(index, out)
    return 1


FIRST_SECONDS, MEASURE_SECONDS = 0.02, 0.2
"""Duration of the first measurement, sample by sample, and of each one after it."""

WORTH_SECONDS = 2.0
"""Shortest time of one thread for all samples that makes measuring worthwhile."""

ROUND_SECONDS = 0.8
"""Longest time for one sample per worker, read one after the other: a measurement may take as long."""

BATCH_SECONDS = 0.02
"""Time of one thread for a batch: short against a measurement, long against the cost of handing the batch over."""

LEAST_BUSY, MOST_BUSY = 0.25, 0.75
"""Threads that wait for the GIL keep at least this many processors busy, and at most this share of theirs."""

WARM_ROUNDS = 4
"""Batches per process before timing starts: the last process may start long after the first."""

PATIENCE_SECONDS = 5.0
"""Longest time for a batch, and for processes to start."""

TURNS = 2
"""Measurements of each number of threads, alternating. The better one counts: other work may slow one of them."""

PARTS = 2 * TURNS + 1
"""Parts of the data, one per measurement: none reads what another has brought into memory."""


@dataclass(frozen=True)
class Readers:
    """A number of threads or processes that read samples."""

    workers: int
    processes: bool = False

    def __str__(self) -> str:
        if self.processes:
            return plural(self.workers, "process", "processes")
        return plural(self.workers, "thread")


Open = Callable[[Readers, int], Loader]
"""Opens a loader with these readers and this batch size."""


@dataclass(frozen=True)
class Measurement:
    """The throughput of some readers, or the reason why they delivered nothing."""

    readers: Readers
    throughput: Throughput | None
    failure: str = ""

    @property
    def samples_per_second(self) -> float:
        """Samples per second; 0 without a throughput."""
        return self.throughput.samples_per_second if self.throughput else 0.0


@dataclass(frozen=True)
class Scaling:
    """Measurements of threads and processes; empty where measuring was skipped, for the reason in `skipped`."""

    measurements: tuple[Measurement, ...] = ()
    skipped: str = ""

    def best(self, workers: int | None = None) -> Readers:
        """The fastest readers; of those about as fast, the fewest workers, and threads before processes.

        With `workers`, only among readers with that many.
        """
        candidates = [one for one in self.measurements if workers in (None, one.readers.workers)]
        close = as_fast_as_best(candidates, lambda one: one.samples_per_second)
        return min((one.readers for one in close), key=lambda readers: (readers.workers, readers.processes))

    def text(self) -> str:
        """The figures in one phrase: `1 thread reads 310 samples/s, 12 threads 2,900`."""
        first, *others = self.measurements
        parts = [f"{first.readers} reads {first.samples_per_second:,.0f} samples/s"]
        for one in others:
            parts.append(f"{one.readers} {f'{one.samples_per_second:,.0f}' if one.throughput else one.failure}")
        return ", ".join(parts)


def measure_scaling(open_loader: Open, workers: int, *, processes: bool) -> Scaling:
    """Measure 1 thread, `workers` threads and, where `processes` are allowed and threads block each other, processes.

    Reads only a few samples, and skips the rest, where one thread soon reads all samples or one sample takes long.
    """
    try:
        with open_loader(Readers(1), 1) as loader:
            first = time_loader(loader, FIRST_SECONDS, warm_steps=1)
            num_samples = loader.num_samples
        sample_seconds = first.seconds / first.num_samples
        if sample_seconds * num_samples < WORTH_SECONDS:
            return Scaling(skipped=f"1 thread reads all samples in {sample_seconds * num_samples:.1f} s")
        if sample_seconds * workers > ROUND_SECONDS:
            return Scaling(skipped=f"a sample takes {sample_seconds:.2f} s")
        batch_size = max(1, int(BATCH_SECONDS / sample_seconds))
        turns = (Readers(1), Readers(workers)) * TURNS
        timed = [_throughput(open_loader, readers, batch_size, part) for part, readers in enumerate(turns)]
    except Exception as error:  # the run meets the same error and reports it
        return Scaling(skipped=_first_part(error))
    one, many = (max(timed[first::2], key=attrgetter("samples_per_second")) for first in (0, 1))
    measurements = [Measurement(Readers(1), one), Measurement(Readers(workers), many)]
    if processes and threads_block_each_other(one, many, min(workers, num_processors())):
        measurements.append(_measure_processes(open_loader, Readers(workers, processes=True), batch_size))
    return Scaling(tuple(measurements))


def threads_block_each_other(one: Throughput, many: Throughput, processors: int) -> bool:
    """Whether many threads gain less than half of what `processors` allow, because they wait for the GIL.

    Threads that wait for a disk keep no processor busy. Threads that compute keep all of them busy. Threads that wait
    for the GIL keep about one busy.
    """
    gain = many.samples_per_second / one.samples_per_second
    busy = many.cpu_seconds / many.seconds
    return gain < (1 + processors) / 2 and LEAST_BUSY <= busy <= MOST_BUSY * processors


def _measure_processes(open_loader: Open, readers: Readers, batch_size: int) -> Measurement:
    try:
        return Measurement(readers, _throughput(open_loader, readers, batch_size, PARTS - 1))
    except Exception as error:
        # A script without `if __name__ == "__main__":` is imported by the processes it starts; those must end here.
        if multiprocessing.parent_process() is not None:
            raise
        return Measurement(readers, None, f"cannot read them ({_first_part(error)})")


def _throughput(open_loader: Open, readers: Readers, batch_size: int, part: int) -> Throughput:
    """Throughput in one part of the data. Threads start in no time; the start of processes is not timed."""
    warm_steps = WARM_ROUNDS * readers.workers if readers.processes else 0
    with open_loader(readers, batch_size) as loader:
        begin, rounds = len(loader) * part // PARTS, readers.workers
        return time_loader(loader, MEASURE_SECONDS, first_step=begin, warm_steps=warm_steps, round_steps=rounds)


def _first_part(error: Exception) -> str:
    """The message without its advice, on one line."""
    return " ".join(str(error).partition(";")[0].split()) or type(error).__name__
