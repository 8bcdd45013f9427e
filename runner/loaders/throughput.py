"""How fast a loader gives batches, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, cycle, islice

import numpy as np

from runner.batch import Array
from runner.data.source import FileSource, Source
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
