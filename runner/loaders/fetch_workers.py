"""Threads whose samples are fetched ahead, where the storage answers so slowly that it is worth it.

With `loader.fetch_ahead=auto`, the workers read the first batch, and one in `EVERY` later ones, by themselves and time
each read. Storage that answers at once stays theirs, at no cost; for slow storage more reads run at once, as many as
keep the workers decoding. If these fetch no more samples a second, as on a disk that seeks, the workers fetch again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from runner.data.source import Source
from runner.loaders.draw import Draw
from runner.loaders.fetch_ahead import FetchAhead, FetchedPlaces, places_of
from runner.loaders.reader import ReadPiece, ReadResult, SampleReader
from runner.loaders.settings import LoaderSettings
from runner.loaders.window_buffers import Caching
from runner.loaders.workers import PendingBatch, Workers
from runner.machine import is_spinning
from runner.place import Bytes, Fetched, Place

EVERY = 64
"""Of this many batches one is timed: storage may become slow, once the first files are no longer in the page cache."""
SLOW_SECONDS = 0.002
"""A read that takes longer is worth a thread that waits for it. A local solid-state disk answers in a tenth of this."""
MARGIN = 2
MOST_THREADS = 64
"""The most reads at once: with 50 ms each, they fetch 1,280 samples a second."""
GAIN = 1.5
"""How much faster more reads at once must be."""


class TimedFetches:
    """Fetches the bytes of places and notes how long each took."""

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
    under way as samples are decoded in the time of one; `MARGIN` times as many even out slower ones.

    >>> reads_at_once([0.05] * 9, 0.005, 2), reads_at_once([0.0001] * 9, 0.005, 2)
    (40, 0)
    """
    if not fetch_seconds or median(fetch_seconds) < SLOW_SECONDS:
        return 0
    needed = math.ceil(MARGIN * num_workers * median(fetch_seconds) / max(decode_seconds, 1e-6))
    return max(num_workers + 1, min(needed, MOST_THREADS))


def serves_at_once(alone: Sequence[float], together: Sequence[float], before: int, now: int) -> bool:
    """Whether `now` reads at once fetch at least `GAIN` times as many samples a second as `before` did.

    `alone` and `together` are the seconds of single reads among `before` and among `now` of them. A disk that seeks
    serves one at a time: each of twice as many takes twice as long.
    """
    return now / median(together) >= min(GAIN, 0.8 * now / before) * before / median(alone)


class FetchingThreads:
    """`threads`, a pool for `reader`, with reads that run ahead of them as `settings` say.

    No more bytes are fetched and not decoded than the batches take that are read ahead.
    """

    def __init__(self, threads: Workers, reader: SampleReader, settings: LoaderSettings) -> None:
        self._threads, self._source = threads, reader.source
        self._num_workers, self._num_submitted = max(1, settings.workers), 0
        self._most_bytes = settings.max_queue_size * settings.batch_size * reader.source.spec.num_bytes
        self._measures = settings.fetch_ahead == "auto" and _may_serve_at_once(reader.source)
        self._alone: list[float] = []
        self.num_reads = 0 if settings.fetch_ahead == "auto" else settings.fetch_ahead
        """Reads at once; 0: workers fetch what they decode."""
        self.ahead = FetchAhead(self.num_reads, self._most_bytes) if self.num_reads else None

    def submit(self, draw: Draw, fetched: Fetched | None = None) -> PendingBatch:
        """Start to fetch and to read the samples of `draw`."""
        number, self._num_submitted = self._num_submitted, self._num_submitted + 1
        if fetched is not None or (isinstance(self._source, Caching) and self._source.is_stored(draw.indices)):
            return self._threads.submit(draw, fetched)
        if self.ahead is not None:
            places = self.ahead.submit(places_of(self._source, draw.indices))
            return _FetchedBatch(self._threads.submit(draw, places), self, places)
        if self._measures and number % EVERY == 0:
            timed = TimedFetches()
            return _TimedBatch(self._threads.submit(draw, timed), self, timed)
        return self._threads.submit(draw)

    def measured(self, fetch_seconds: Sequence[float], pieces: Sequence[ReadPiece]) -> None:
        """Fetch ahead from now on if `fetch_seconds` are those of slow storage; `pieces` waited for these reads."""
        if self.ahead is not None or not self._measures or not fetch_seconds:
            return
        busy = sum(piece.span.end - piece.span.begin for piece in pieces) / 1e9 - sum(fetch_seconds)
        self.num_reads = reads_at_once(fetch_seconds, busy / len(fetch_seconds), self._num_workers)
        if self.num_reads:
            self._alone = list(fetch_seconds)
            self.ahead = FetchAhead(self.num_reads, self._most_bytes)

    def confirm(self) -> None:
        """Stop fetching ahead for good if it is hardly faster."""
        if not self._alone or self.ahead is None or len(self.ahead.seconds) < 2 * self.num_reads:
            return
        together = self.ahead.seconds[self.num_reads :]  # the first reads began one by one
        if not serves_at_once(self._alone, together, self._num_workers, self.num_reads):
            self._measures = False
            self.ahead.retire()
            self.ahead, self.num_reads = None, 0
        self._alone = []

    def close(self) -> None:
        """Stop the fetches and the workers."""
        if self.ahead is not None:
            self.ahead.close()
        self._threads.close()


def _may_serve_at_once(source: Source) -> bool:
    """Whether it makes sense to measure: the samples are bytes, and not on a disk that is known to seek."""
    return source.has_bytes and not is_spinning(source.places(0)[0].file)


@dataclass(frozen=True)
class _FetchedBatch:
    """A batch whose bytes are fetched ahead."""

    batch: PendingBatch
    behind: FetchingThreads
    places: FetchedPlaces

    @property
    def futures(self) -> Sequence[Future[Any]]:
        """Its pieces."""
        return self.batch.futures

    def result(self) -> ReadResult:
        """Wait for the samples; bytes that were not needed are given up."""
        try:
            result = self.batch.result()
        finally:
            self.places.discard()
        self.behind.confirm()
        return result

    def cancel(self) -> None:
        """Give up the batch and its bytes."""
        self.batch.cancel()
        self.places.discard()


@dataclass(frozen=True)
class _TimedBatch:
    """A batch whose workers time their reads."""

    batch: PendingBatch
    behind: FetchingThreads
    timed: TimedFetches

    @property
    def futures(self) -> Sequence[Future[Any]]:
        """Its pieces."""
        return self.batch.futures

    def result(self) -> ReadResult:
        """Wait for the samples, and judge the storage by the time of their reads."""
        result = self.batch.result()
        self.behind.measured(self.timed.seconds, [future.result() for future in self.batch.futures])
        return result

    def cancel(self) -> None:
        """Give up the batch."""
        self.batch.cancel()
