"""The one way from sample indices to arrays, which every strategy takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_native_id
from time import perf_counter_ns

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.data.source import Source, read_many
from runner.errors import BadSampleError, DataError
from runner.images.reader import decoding
from runner.loaders.on_bad import RAISE, OnBad
from runner.loaders.rows import LEFT_OUT, BadSample, Filled
from runner.loaders.timing import Work
from runner.transforms.transform import Changes


@dataclass(frozen=True)
class Reader:
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

    def fill(self, epoch: int, indices: Indices, out: Array) -> Filled:
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
        work = Work(get_native_id(), begin, end, len(indices), read=reading, decode=decoded, change=changing)
        return Filled(given, work, tuple(bad))

    def _fill_plain(self, epoch: int, indices: Indices, out: Array, bad: list[BadSample]) -> tuple[Indices, int]:
        """Fill rows with samples as they are, all at once unless one of them is bad."""
        try:
            read_many(self.source, indices, out)
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
        with naming(self.source, index):
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
def naming(source: Source, index: int) -> Iterator[None]:
    """Say which sample it was that could not be changed; an error of the user's own code stays what it is."""
    try:
        yield
    except DataError as error:
        raise BadSampleError(source.ids[index], str(error)) from error
    except Exception as error:
        error.add_note(f"while sample {source.ids[index]} was changed")
        raise
