"""The one way from sample indices to arrays, which every strategy takes.

What came of reading samples: their arrays, row by row, and those that cannot be read.

`data.on_bad`: what is done about a sample that cannot be read.

From sample indices to a batch.

    allocate(spec, n) ─> reader.fill(epoch, indices, out) ─> gather(x, filled) ─> complete(source, indices, x)

`fill` runs wherever a strategy reads: in the caller's thread, in worker threads on pieces of a batch, in worker
processes on shared memory. That is why the strategies agree.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from threading import get_native_id
from time import perf_counter_ns
from typing import NamedTuple

import numpy as np

from runner.batch import Array, ArraySpec, Batch, Indices
from runner.data.dataset import OnBadChoice
from runner.data.ids import names_at
from runner.data.source import Source
from runner.errors import BadSampleError, DataError, UserReadError
from runner.images.reader import decoding
from runner.loaders.buffers import aligned_bytes
from runner.loaders.permutation import Permutation
from runner.loaders.timing import Clock, WorkSpan
from runner.seeds import Purpose, derive
from runner.transforms.transform import Changes

LEFT_OUT = -1
"""The index of a row that holds no sample, because the one that belongs there cannot be read."""


@dataclass(frozen=True, slots=True)
class BadSample:
    """A sample that cannot be read; `name` is its path, or its id where there is no file."""

    index: int
    name: str
    reason: str


class ReadPiece(NamedTuple):
    """ReadResult as they were filled: the sample in each, `LEFT_OUT` where there is none, and what it took."""

    indices: Indices
    span: WorkSpan
    bad: tuple[BadSample, ...] = ()


class ReadResult(NamedTuple):
    """The samples at `indices`, whose arrays are the rows of `x`; and those that were found bad on the way."""

    indices: Indices
    x: Array
    bad: tuple[BadSample, ...] = ()


def gather(x: Array, pieces: Sequence[ReadPiece]) -> ReadResult:
    """The rows of `x`, filled in `pieces`, that hold samples."""
    indices = np.concatenate([piece.indices for piece in pieces])
    bad = tuple(chain.from_iterable(piece.bad for piece in pieces))
    there = indices != LEFT_OUT
    return ReadResult(indices, x, bad) if there.all() else ReadResult(indices[there], x[there], bad)


MOST_SUBSTITUTES = 100
"""Samples tried in the place of a bad one; where none of so many can be read, it is not the samples that are bad."""

OF_THE_MACHINE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors of the system while it opens a file that tell nothing of the file."""


@dataclass(frozen=True)
class OnBad:
    """What is done about a bad sample: a pure function of the seed and its index, so that all strategies do the same.

    Unless it `may_be_empty`, a batch of which nothing is left ends the run: there would be nothing to train on.
    """

    choice: OnBadChoice = "raise"
    seed: int = 0
    may_be_empty: bool = True

    def passes_over(self, error: BadSampleError) -> bool:
        """Whether the run goes on: the sample is to blame, and neither the user's code nor the machine."""
        blameless = isinstance(error, UserReadError) or getattr(error.__cause__, "errno", None) in OF_THE_MACHINE
        return self.choice != "raise" and not blameless

    def candidates(self, index: int, num_samples: int) -> Iterator[int]:
        """Sample `index`, then those to try in its place, one after the other; none of them twice."""
        yield index
        if self.choice == "substitute":
            order = Permutation.seeded(num_samples, derive(self.seed, Purpose.SUBSTITUTE, index))
            drawn = order(np.arange(min(num_samples, MOST_SUBSTITUTES + 1))).tolist()
            yield from islice((other for other in drawn if other != index), MOST_SUBSTITUTES)

    def leaving_out(self) -> OnBad:
        """The same, without others in the place of what is bad: for samples that are read to be held."""
        return self if self.choice == "raise" else OnBad("skip")


RAISE = OnBad()
"""A bad sample ends the run."""


@dataclass(frozen=True)
class SampleReader:
    """Reads the samples of `source` and makes `changes` to them, one after the other; `on_bad` says what if it cannot.

    What workers hold: it travels to their processes by pickle, as its source does.
    """

    source: Source
    changes: Changes = ()
    on_bad: OnBad = RAISE

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of a sample as it stands in a batch."""
        return self.changes[-1].spec if self.changes else self.source.spec

    def fill(self, epoch: int, indices: Indices, out: Array) -> ReadPiece:
        """Write the samples at `indices` as they are in `epoch` into the rows of `out`, `(len(indices), *spec.shape)`.

        Returns which samples these are, how long that took, and what was bad. Raises `BadSampleError` for a sample
        that cannot be read and that nothing is to be done about, and for one that cannot be changed.
        """
        begin, decoded = perf_counter_ns(), decoding.nanoseconds
        bad: list[BadSample] = []
        fill = self._fill_changed if self.changes else self._fill_plain
        given, changing = fill(epoch, indices, out, bad)
        end, decoded = perf_counter_ns(), decoding.nanoseconds - decoded
        reading = end - begin - decoded - changing
        span = WorkSpan(get_native_id(), begin, end, len(indices), read=reading, decode=decoded, change=changing)
        return ReadPiece(given, span, tuple(bad))

    def _fill_plain(self, epoch: int, indices: Indices, out: Array, bad: list[BadSample]) -> tuple[Indices, int]:
        """Fill rows with samples as they are, all at once unless one of them is bad."""
        try:
            self.source.read_many(indices, out)
        except BadSampleError as error:
            if not self.on_bad.passes_over(error):
                raise
            given = [self._read(index, bad, out[row])[0] for row, index in enumerate(indices.tolist())]
            return np.array(given, np.int64), 0
        return indices, 0

    def _fill_changed(self, epoch: int, indices: Indices, out: Array, bad: list[BadSample]) -> tuple[Indices, int]:
        """Fill rows with samples that are changed; the samples in the rows, and the nanoseconds changing took."""
        given, changing = indices.copy(), 0
        for row, index in enumerate(indices.tolist()):
            given[row], array = self._read(index, bad)
            if array is not None:
                before = perf_counter_ns()
                out[row] = self._changed(array, epoch, int(given[row]))
                changing += perf_counter_ns() - before
        return given, changing

    def _read(self, index: int, bad: list[BadSample], out: Array | None = None) -> tuple[int, Array | None]:
        """Sample `index`, or the one in its place, with its index; those that are bad are added to `bad`."""
        before = len(bad)
        for candidate in self.on_bad.candidates(index, len(self.source)):
            try:
                return candidate, self.source.read(candidate, out)
            except BadSampleError as error:
                if not self.on_bad.passes_over(error):
                    raise
                bad.append(BadSample(candidate, error.name, error.reason))
        if self.on_bad.choice == "substitute":
            raise DataError(_nothing_to_substitute(bad[before:]))
        return LEFT_OUT, None

    def _changed(self, array: Array, epoch: int, index: int) -> Array:
        with naming_sample(self.source, index):
            for change in self.changes:
                array = change(array, epoch, index)
        return array


def _nothing_to_substitute(bad: list[BadSample]) -> str:
    last = bad[-1]
    return (
        f"data.on_bad=substitute must find a sample in the place of a bad one, got {len(bad)} in a row that cannot be "
        f"read, the last of them {last.name}: {last.reason}; is the storage there? mode=check names all bad samples"
    )


@contextmanager
def naming_sample(source: Source, index: int) -> Iterator[None]:
    """Say which sample it was that could not be changed; an error of the user's own code stays what it is."""
    try:
        yield
    except DataError as error:
        raise BadSampleError(source.ids[index], str(error)) from error
    except Exception as error:
        error.add_note(f"while sample {source.ids[index]} was changed")
        raise


def allocate(spec: ArraySpec, num_samples: int) -> Array:
    """An uninitialised array of shape `(num_samples, *spec.shape)` that begins on an aligned address."""
    return aligned_bytes(num_samples * spec.num_bytes).view(spec.dtype).reshape((num_samples, *spec.shape))


def complete(source: Source, indices: Indices, x: Array) -> Batch:
    """The batch of the samples at `indices`, whose arrays are the rows of `x`."""
    labels = source.labels
    weights = None if labels.weights is None else labels.weights[indices]
    return Batch(x, labels.encode(indices, x), weights, tuple(names_at(source.ids, indices)))


def read_rows(reader: SampleReader, epoch: int, indices: Indices, clock: Clock) -> ReadResult:
    """The samples at `indices` as they are in `epoch`, read here and now."""
    x = allocate(reader.spec, len(indices))
    filled = reader.fill(epoch, indices, x)
    clock.add(filled.span)
    return gather(x, [filled])
