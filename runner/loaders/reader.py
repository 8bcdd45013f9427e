"""Reading samples: from the draw of a batch to its arrays, the same way for every strategy.

    allocate(spec, n) ─> reader.fill(draw, out) ─> gather(x, pieces) ─> complete(source, indices, x)

`fill` runs in the caller's thread, in worker threads on pieces of a batch, or in worker processes on shared memory.
A sample that cannot be read, or holds values that are no numbers, is handled as `data.on_bad` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from threading import get_native_id
from time import perf_counter_ns
from typing import NamedTuple

import numpy as np

from runner.batch import Batch, Indices
from runner.data.dataset import OnBadChoice
from runner.data.ids import names_at
from runner.data.source import Source
from runner.errors import BadSampleError, DataError, UserReadError
from runner.fields import SampleSpec, Values, inputs_of
from runner.finite import first_not_finite, not_finite_text
from runner.images.decoder import decoding
from runner.loaders.buffers import aligned_bytes
from runner.loaders.draw import Draw
from runner.loaders.members import Members
from runner.loaders.permutation import Permutation
from runner.loaders.storage import MACHINE_ERRORS, refuse_lost_storage
from runner.loaders.timing import Clock, WorkSpan
from runner.messages import first_few, plural
from runner.seeds import Purpose, derive
from runner.transforms.transform import Transforms
from runner.watchdog import watched

MOST_SUBSTITUTES = 100
"""Most samples to try in place of a bad one. If none of them can be read, the storage is to blame."""


@dataclass(frozen=True)
class OnBad:
    """`data.on_bad`: raise, skip or substitute a bad sample.

    The substitute depends only on the seed and the index, so all strategies choose the same. With `members` it is of
    the same class.
    """

    choice: OnBadChoice = "raise"
    seed: int = 0
    members: Members | None = None

    def allows(self, error: BadSampleError) -> bool:
        """Whether the run continues after `error`: not if the user's code or the machine is to blame."""
        is_sample_fine = isinstance(error, UserReadError) or getattr(error.__cause__, "errno", None) in MACHINE_ERRORS
        return self.choice != "raise" and not is_sample_fine

    def candidates(self, index: int, num_samples: int) -> Iterator[int]:
        """Sample `index`, then the samples to try in its place, each once."""
        yield index
        if self.choice == "substitute":
            alike = None if self.members is None else self.members.alike(index)
            num_others = num_samples if alike is None else len(alike)
            order = Permutation.seeded(num_others, derive(self.seed, Purpose.SUBSTITUTE, index))
            drawn = order(np.arange(min(num_others, MOST_SUBSTITUTES + 1)))
            others = (drawn if alike is None else alike[drawn]).tolist()
            yield from islice((other for other in others if other != index), MOST_SUBSTITUTES)

    def candidate(self, index: int, num_samples: int, number: int) -> int:
        """The candidate `number` for sample `index`: 0 is the sample itself."""
        return next(islice(self.candidates(index, num_samples), number, None))

    def number_of(self, index: int, ids: Sequence[str], name: str) -> int:
        """Which candidate for sample `index` has the id `name`, as number for `candidate`."""
        named = (number for number, one in enumerate(self.candidates(index, len(ids))) if ids[one] == name)
        return next(named)

    def without_substitutes(self) -> OnBad:
        """Skip in place of substitute, for samples that are read once and kept in memory."""
        return self if self.choice == "raise" else OnBad("skip")


LEFT_OUT = -1
"""Index of a row without a sample, because its sample cannot be read."""


@dataclass(frozen=True, slots=True)
class BadSample:
    """A sample that cannot be read; `name` is its path, or its id if it is not a file."""

    index: int
    name: str
    reason: str


class ReadPiece(NamedTuple):
    """Result of filling some rows of a batch: the sample in each row or `LEFT_OUT`, the work, and the bad samples."""

    indices: Indices
    span: WorkSpan
    bad: tuple[BadSample, ...] = ()


class ReadResult(NamedTuple):
    """Result of reading a batch: `x`, a row per sample, its samples, and the bad samples."""

    indices: Indices
    x: Values
    bad: tuple[BadSample, ...] = ()


RAISE = OnBad()
"""The default: a bad sample ends the run."""


@dataclass(frozen=True)
class SampleReader:
    """Reads samples of `source`, applies `transforms` in order, and handles bad samples as `on_bad` says.

    Each worker has one; worker processes get it by pickle. A float sample with NaN or infinity is a bad one, as it is
    after the transforms, unless `checks_values` is False: for a reader whose samples are checked later, or were before.
    """

    source: Source
    transforms: Transforms = ()
    on_bad: OnBad = RAISE
    checks_values: bool = True

    @property
    def spec(self) -> SampleSpec:
        """Shape and dtype of a sample in a batch."""
        return self.transforms[-1].spec if self.transforms else self.source.spec

    def fill(self, draw: Draw, out: Values) -> ReadPiece:
        """Write the samples of `draw`, each as of its pass, into the rows of `out`, shape `(len(draw), *spec.shape)`.

        Raises `BadSampleError` for a sample that cannot be read, unless `on_bad` allows it, or not be transformed, and
        in the main thread `WorkerError` if it takes too long.
        """
        begin, decoded = perf_counter_ns(), decoding.nanoseconds
        bad: list[BadSample] = []
        fill = self._fill_transformed if self.transforms else self._fill_plain
        with watched(lambda: _named(self.source, draw.indices)):
            samples, changing = fill(draw, out, bad)
        end, decoded = perf_counter_ns(), decoding.nanoseconds - decoded
        reading = end - begin - decoded - changing
        span = WorkSpan(get_native_id(), begin, end, len(draw), fetch=reading, decode=decoded, augment=changing)
        return ReadPiece(samples, span, tuple(bad))

    def _fill_plain(self, draw: Draw, out: Values, bad: list[BadSample]) -> tuple[Indices, int]:
        """Fill rows with samples of the source, in one call unless one of them is bad; no time for transforms."""
        try:
            self.source.read_many(draw.indices, out)
            self._refuse_no_numbers(draw.indices, out)
        except BadSampleError as error:
            if not self._may_continue(error):
                raise
            samples = [self._read(*one, out[row], bad)[0] for row, one in enumerate(_pairs(draw))]
            return np.array(samples, np.int64), 0
        return draw.indices, 0

    def _fill_transformed(self, draw: Draw, out: Values, bad: list[BadSample]) -> tuple[Indices, int]:
        """Fill rows with transformed samples; returns the samples and the nanoseconds of the transforms."""
        samples, changing = draw.indices.copy(), 0
        for row, (index, number) in enumerate(_pairs(draw)):
            samples[row], nanoseconds = self._read(index, number, out[row], bad)
            changing += nanoseconds
        return samples, changing

    def _read(self, index: int, number: int, out: Values, bad: list[BadSample]) -> tuple[int, int]:
        """Write sample `index` or its substitute, as of pass `number`, into `out`.

        Returns which sample that is, and the nanoseconds of the transforms.

        Adds bad samples to `bad`.
        """
        before, changing = len(bad), 0
        for candidate in self.on_bad.candidates(index, len(self.source)):
            try:
                changing += self._write(candidate, number, out)
            except BadSampleError as error:
                if not self._may_continue(error):
                    raise
                bad.append(BadSample(candidate, error.name, error.reason))
            else:
                return candidate, changing
        if self.on_bad.choice == "substitute":
            raise DataError(_no_substitute(bad[before:]))
        return LEFT_OUT, changing

    def _may_continue(self, error: BadSampleError) -> bool:
        """Whether the run continues after a bad sample; raises `StorageError` if all others are lost as well."""
        refuse_lost_storage(self.source, error)
        return self.on_bad.allows(error)

    def _write(self, index: int, number: int, out: Values) -> int:
        """Write sample `index` into `out`, transformed; returns the nanoseconds that the transforms took."""
        changing = 0
        if self.transforms:
            array = self.source.read(index)
            before = perf_counter_ns()
            out[...] = self._changed(array, index, number)
            changing = perf_counter_ns() - before
        else:
            self.source.read(index, out)
        self._refuse_no_numbers(np.array([index]), out[None])
        return changing

    def _refuse_no_numbers(self, indices: Indices, rows: Values) -> None:
        """Raise `BadSampleError` for the first of `rows` that holds NaN or infinity."""
        if not self.checks_values or (row := first_not_finite(rows)) is None:
            return
        index, once = int(indices[row]), " once transformed" if self.transforms else ""
        raise BadSampleError(self.source.sample_name(index), f"{not_finite_text(rows[row])}{once}")

    def _changed(self, array: Values, index: int, number: int) -> Values:
        with naming_sample(self.source, index):
            for transform in self.transforms:
                array = transform(array, number, index)
        return array


def _pairs(draw: Draw) -> Iterator[tuple[int, int]]:
    """Index and pass of each sample."""
    return zip(draw.indices.tolist(), draw.passes.tolist(), strict=True)


def _named(source: Source, indices: Indices) -> str:
    ids = names_at(source.ids, indices)
    return f"sample {ids[0]}" if len(ids) == 1 else f"one of the samples {first_few(ids)}"


def _no_substitute(bad: list[BadSample]) -> str:
    last = bad[-1]
    return (
        f"data.on_bad=substitute found no sample to take the place of a bad one: {plural(len(bad), 'sample')} in a row "
        f"cannot be read, last {last.name}: {last.reason}; is the storage available? mode=check lists all bad samples"
    )


@contextmanager
def naming_sample(source: Source, index: int) -> Iterator[None]:
    """Name the sample in an error of a transform; an error of the user's code keeps its type."""
    try:
        yield
    except DataError as error:
        raise UserReadError(source.ids[index], str(error)) from error
    except Exception as error:
        error.add_note(f"while transforming sample {source.ids[index]}")
        raise


def gather(x: Values, pieces: Sequence[ReadPiece]) -> ReadResult:
    """The result of `pieces`, which filled the rows of `x`; rows without a sample are dropped."""
    indices = np.concatenate([piece.indices for piece in pieces])
    bad = tuple(chain.from_iterable(piece.bad for piece in pieces))
    is_filled = indices != LEFT_OUT
    return ReadResult(indices, x, bad) if is_filled.all() else ReadResult(indices[is_filled], x[is_filled], bad)


def allocate(spec: SampleSpec, num_samples: int) -> Values:
    """An uninitialised array of shape `(num_samples, *spec.shape)` at an aligned address; or one for each name."""
    return spec.view(aligned_bytes(spec.buffer_bytes(num_samples)), num_samples)


def complete(source: Source, indices: Indices, x: Values) -> Batch:
    """The batch of the samples at `indices`, whose arrays are the rows of `x`."""
    labels = source.labels
    targets, weights, ids = labels.encode(indices, x), labels.weights_of(indices), tuple(names_at(source.ids, indices))
    return Batch(inputs_of(x, labels.fields), targets, weights, ids)


def read_batch(reader: SampleReader, draw: Draw, clock: Clock) -> ReadResult:
    """Read the samples of `draw` in the caller's thread."""
    x = allocate(reader.spec, len(draw))
    piece = reader.fill(draw, x)
    clock.add(piece.span)
    return gather(x, [piece])
