"""`loader.fetch_ahead`: bytes of samples fetched before a worker decodes them, many at once, in the plan's order.

Storage that answers slowly, such as a network, serves many reads at once. A worker that fetches what it decodes waits
for one read after the other; here threads that only wait fetch the samples of the batches that are read ahead.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from time import perf_counter

from runner.batch import Indices
from runner.data.source import Source
from runner.errors import BadSampleError
from runner.loaders.workers import join_all
from runner.place import Bytes, Place

JOINED_GAP = 1 << 16
"""Bytes between two parts of a file that are read rather than skipped: a second read costs more on slow storage."""
MOST_TIMED = 1000
"""The number of reads whose time is kept."""
MOST_JOINED = 1 << 22
"""The most bytes of one read of several samples: more would keep other threads from sharing the work."""


@dataclass(eq=False)
class Read:
    """One read of a file, for one or several samples next to each other."""

    place: Place
    samples: tuple[Place, ...]
    future: Future[Bytes | None] = field(default_factory=Future)
    left: int = 0
    """Samples whose bytes nobody has taken or given up."""

    def fetch(self) -> Bytes | None:
        """The bytes; None if several samples cannot be read at once, each of which names its own reason then."""
        try:
            return self.place.fetch()
        except BadSampleError:
            if len(self.samples) == 1:
                raise
            return None

    def part(self, sample: Place) -> Bytes | None:
        """The bytes of `sample`, once they are there. Raises the error of the read."""
        data = self.future.result()
        if data is None or len(self.samples) == 1:
            return data
        begin = sample.offset - self.place.offset
        return memoryview(data)[begin : begin + (sample.size or 0)]


def places_of(source: Source, indices: Indices) -> list[Place]:
    """Where the bytes of the samples at `indices` are."""
    return list(chain.from_iterable(map(source.places, indices.tolist())))


def joined(places: Iterable[Place]) -> Iterator[Read]:
    """Reads of `places`: whole files each, parts of a file together where little or nothing lies between them.

    >>> [len(read.samples) for read in joined([Place("a", 0, 9), Place("a", 900_000, 9), Place("a", 9, 9), Place("b")])]
    [1, 2, 1]
    """
    parts = []
    for place in places:
        if place.size is None:
            yield Read(place, (place,), left=1)
        else:
            parts.append(place)
    run: list[Place] = []
    for place in sorted(parts):
        if run and not _reaches(run, place):
            yield _read_of(run)
            run = []
        run.append(place)
    if run:
        yield _read_of(run)


def _reaches(run: list[Place], place: Place) -> bool:
    """Whether `place` is read together with the parts of `run`."""
    end = max(part.offset + (part.size or 0) for part in run)
    whole = place.offset + (place.size or 0) - run[0].offset
    return place.file == run[0].file and place.offset <= end + JOINED_GAP and whole <= MOST_JOINED


def _read_of(run: list[Place]) -> Read:
    if len(run) == 1:
        return Read(run[0], (run[0],), left=1)
    begin, end = run[0].offset, max(part.offset + (part.size or 0) for part in run)
    return Read(Place(run[0].file, begin, end - begin, f"{len(run)} samples"), tuple(run), left=len(run))


class FetchAhead:
    """Fetches submitted places with threads of its own, first come, first served; each is taken once.

    A read begins only while the bytes that nobody has taken are fewer than `most_bytes`. A place whose read has not
    begun is left to whoever needs it, so no one ever waits for room.
    """

    def __init__(self, num_threads: int, most_bytes: int) -> None:
        self._state = _Reads(most_bytes)
        names = [f"fetch-{number}" for number in range(num_threads)]
        threads = [threading.Thread(target=self._state.work, name=name, daemon=True) for name in names]
        for thread in threads:
            thread.start()
        # Runs at `close`, when nothing refers to this any more, or at the interpreter's exit.
        self._stop = weakref.finalize(self, _close, self._state, threads)

    @property
    def seconds(self) -> list[float]:
        """How long each of the first reads took."""
        return self._state.seconds

    def submit(self, places: Iterable[Place]) -> FetchedPlaces:
        """Start to fetch `places`, after those of earlier calls, which may name the same places for other batches."""
        reads = list(joined(dict.fromkeys(places)))
        self._state.add(reads)
        return FetchedPlaces(self._state, {place: read for read in reads for place in read.samples})

    def retire(self) -> None:
        """Begin no more reads. Those that have begun end and can be taken; whoever needs another place reads it."""
        self._stop.detach()
        self._state.retire()

    def close(self) -> None:
        """Stop, within `CLOSE_SECONDS`; a read that hangs ends when the storage answers."""
        self._stop()


def _close(state: _Reads, threads: Sequence[threading.Thread]) -> None:
    state.close()
    join_all(threads)


class FetchedPlaces:
    """The places of one batch, each to be taken once."""

    def __init__(self, state: _Reads, reads: dict[Place, Read]) -> None:
        self._state, self._reads = state, reads

    def get(self, place: Place) -> Bytes | None:
        """The bytes of `place`, once they are there; None if their read has not begun. Raises `BadSampleError`."""
        read = self._reads.pop(place, None)
        return None if read is None else self._state.take(read, place)

    def discard(self) -> None:
        """Give up the places that nobody has taken."""
        while self._reads:
            self._state.give_up(self._reads.popitem()[1])


class _Reads:
    """The reads of a `FetchAhead`, which its threads share."""

    def __init__(self, most_bytes: int) -> None:
        self._todo: deque[Read] = deque()
        self._running: set[Read] = set()
        self._most_bytes, self._held = most_bytes, 0
        self._closed = False
        self._changed = threading.Condition()
        self.seconds: list[float] = []

    def add(self, reads: list[Read]) -> None:
        with self._changed:
            self._todo.extend(reads)
            self._changed.notify(len(reads))

    def take(self, read: Read, place: Place) -> Bytes | None:
        with self._changed:
            if not (read.future.running() or read.future.done()):
                self._release(read)
                return None
        try:
            return read.part(place)
        finally:
            with self._changed:
                self._release(read)

    def give_up(self, read: Read) -> None:
        with self._changed:
            self._release(read)

    def _release(self, read: Read) -> None:
        read.left -= 1
        if read.left == 0 and read.future.done() and not read.future.cancelled():
            self._held -= _size(read)
            self._changed.notify()

    def work(self) -> None:
        """Fetch until the end; the body of a thread."""
        while (read := self._next()) is not None:
            begin = perf_counter()
            try:
                data = read.fetch()
            except BaseException as error:
                self._done(read, None, error)
            else:
                if len(self.seconds) < MOST_TIMED:
                    self.seconds.append(perf_counter() - begin)
                self._done(read, data, None)
                del data
            del read  # an idle thread must not keep the bytes

    def _next(self) -> Read | None:
        with self._changed:
            while not self._closed:
                while self._todo and not self._todo[0].left:  # all its samples were given up
                    self._todo.popleft()
                if self._todo and self._held < self._most_bytes:
                    read = self._todo.popleft()
                    read.future.set_running_or_notify_cancel()
                    self._running.add(read)
                    return read
                self._changed.wait()
            return None

    def _done(self, read: Read, data: Bytes | None, error: BaseException | None) -> None:
        with self._changed:
            if read.future.done():  # closed meanwhile
                return
            self._running.remove(read)
            if error is None:
                read.future.set_result(data)
            else:
                read.future.set_exception(error)
            if read.left:
                self._held += _size(read)

    def retire(self) -> None:
        with self._changed:
            self._closed = True
            self._todo.clear()
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.retire()
            for read in self._running:  # wakes those who wait for it
                read.future.set_exception(BadSampleError(read.place.name, "the loader was closed"))
            self._running.clear()


def _size(read: Read) -> int:
    data = None if read.future.exception() else read.future.result()
    return 0 if data is None else len(data)
