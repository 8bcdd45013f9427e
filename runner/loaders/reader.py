"""The one way from sample indices to arrays, which every strategy takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_native_id
from time import perf_counter_ns

from runner.changes.change import Changes
from runner.errors import BadSampleError, DataError
from runner.images.decoding import decoding
from runner.loaders.work import Work
from runner.samples import Array, ArraySpec, Indices
from runner.sources.source import Source, read_many


@dataclass(frozen=True)
class Reader:
    """Reads the samples of `source` and makes `changes` to them, one after the other.

    What workers hold: it travels to their processes by pickle, as its source does.
    """

    source: Source
    changes: Changes = ()

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of a sample as it stands in a batch."""
        return self.changes[-1].spec if self.changes else self.source.spec

    def fill(self, epoch: int, indices: Indices, out: Array) -> Work:
        """Write the samples at `indices` as they are in `epoch` into the rows of `out`, `(len(indices), *spec.shape)`.

        Returns how long that took. Raises `BadSampleError` for a sample that cannot be read or changed.
        """
        begin, decoded, changing = perf_counter_ns(), decoding.nanoseconds, 0
        if not self.changes:
            read_many(self.source, indices, out)
        else:
            for row, index in enumerate(indices.tolist()):
                array = self.source.read(index)
                before = perf_counter_ns()
                out[row] = self._changed(array, epoch, index)
                changing += perf_counter_ns() - before
        end, decoded = perf_counter_ns(), decoding.nanoseconds - decoded
        reading = end - begin - decoded - changing
        return Work(get_native_id(), begin, end, len(indices), read=reading, decode=decoded, change=changing)

    def read(self, epoch: int, index: int) -> Array:
        """Sample `index` as it is in `epoch`."""
        return self._changed(self.source.read(index), epoch, index)

    def _changed(self, array: Array, epoch: int, index: int) -> Array:
        with naming(self.source, index):
            for change in self.changes:
                array = change(array, epoch, index)
        return array


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
