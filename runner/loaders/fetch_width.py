"""How many reads at once slow storage needs, from what a worker measured while it fetched and decoded samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from time import perf_counter

from runner.place import Bytes, Place

SLOW_SECONDS = 0.002
"""A read that takes longer is worth a thread that waits for it. A local solid-state disk answers in a tenth of this."""
MOST_THREADS = 64
"""The most reads at once: with 50 ms each, they fetch 1,280 samples a second."""
GAIN = 1.5
"""How much faster more reads at once must be. A spinning disk only seeks more."""


class TimedFetches:
    """Fetches the bytes of places and notes how long each took, while workers read a batch by themselves."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def get(self, place: Place) -> Bytes:
        """The bytes of `place`, fetched now. Raises `BadSampleError`."""
        begin = perf_counter()
        data = place.fetch()
        self.seconds.append(perf_counter() - begin)
        return data


def reads_at_once(fetch_seconds: Sequence[float], decode_seconds: float, num_workers: int) -> int:
    """The number of reads at once that keep `num_workers` decoding; 0 where workers may as well fetch by themselves.

    `fetch_seconds` are those of single reads, `decode_seconds` the mean time of a worker for all else of a sample. By
    Little's law (J. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9, 1961) as many reads are
    under way as samples are decoded in the time of one.

    >>> reads_at_once([0.05] * 9, 0.005, 2), reads_at_once([0.0001] * 9, 0.005, 2)
    (20, 0)
    """
    if not fetch_seconds or median(fetch_seconds) < SLOW_SECONDS:
        return 0
    needed = math.ceil(num_workers * median(fetch_seconds) / max(decode_seconds, 1e-6))
    return max(num_workers + 1, min(needed, MOST_THREADS))


def serves_at_once(alone: Sequence[float], together: Sequence[float], before: int, now: int) -> bool:
    """Whether `now` reads at once fetch at least `GAIN` times as many samples a second as `before` did.

    `alone` and `together` are the seconds of single reads among `before` and among `now` of them. A disk that seeks
    serves one at a time: each of twice as many takes twice as long.
    """
    return now / median(together) >= min(GAIN, 0.8 * now / before) * before / median(alone)
