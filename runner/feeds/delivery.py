"""Delivery of a loader's batches to Keras by global step, with its errors and the ids of delivered batches."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.batch import Batch, Targets
from runner.data.ids import names_at
from runner.errors import DataError
from runner.feeds.targets import Encode, as_they_are
from runner.loaders.blend import PhaseAugmentation
from runner.loaders.draw import Draw
from runner.loaders.loader import NOTHING_READABLE, Loader
from runner.messages import plural
from runner.records.digests import IdStream, array_digest

if TYPE_CHECKING:
    from runner.distribute.devices import Placement

KerasBatch = tuple[Any, ...]


class Delivery:
    """Delivers the batches of a loader by global step.

    `failure` is the original error of the loader: TensorFlow passes on only its text. `weigh` returns the sample
    weights of a batch, by default its own; `encode` changes targets and weights for the loss; `place` puts a batch on
    several devices.

    Batches are read ahead up to global step `end`, across epochs: workers read the first batches of the next epoch
    while this one is validated.
    """

    def __init__(
        self,
        loader: Loader,
        on_step: Callable[[int], None] = lambda step: None,
        weigh: Callable[[Batch], Targets] = lambda batch: batch.sample_weight,
        *,
        end: int = 0,
        encode: Encode = as_they_are,
        place: Placement | None = None,
    ) -> None:
        self.loader, self.place = loader, place
        self.failure: Exception | None = None
        self.num_rows: int | None = None
        """The rows that all processes together have of the batch given last; None for a process alone."""
        self._on_step, self._weigh = on_step, weigh
        self._end, self._encode = end, encode
        self._stream: Iterator[Batch] = iter(())
        self._stream_end = self._next_step = 0
        self._first: dict[int, Batch] = {}
        self._begun_at = self._begun_end = self._num_delivered = 0
        self._left_out: list[int] = []
        self._peeked: dict[int, Batch] = {}

    def begin_phase(
        self, weigh: Callable[[Batch], Targets], augmentation: PhaseAugmentation | None, *, end: int
    ) -> None:
        """Weigh samples in another way, read ahead up to another step, and augment them in another way.

        With an `augmentation`, None for the same one, what was read ahead is given up.
        """
        self._weigh, self._end = weigh, end
        if augmentation is not None:
            self.close()
            self.loader.augment_by(augmentation)

    def steps(self, first_step: int, num_steps: int) -> Iterator[KerasBatch]:
        """`num_steps` batches from global step `first_step` on, without those whose samples are all skipped.

        Raises `DataError` if no batch is left.
        """
        end = first_step + num_steps
        self._begun_at, self._begun_end, self._num_delivered, self._left_out = first_step, end, 0, []
        with self._remembering_failure():
            for step in range(first_step, end):
                batch = self._shared(step, self._batch(step, max(self._end, end)))
                handed_over = self.hand_over(step, batch)
                if len(batch):
                    self._num_delivered += 1
                    yield handed_over
                else:
                    self._left_out.append(step)
            if not self._num_delivered:
                raise DataError(self._nothing(num_steps))

    @property
    def is_empty(self) -> bool:
        """Whether all samples of the steps that `steps` gave last are bad."""
        return len(self._left_out) == self._begun_end - self._begun_at

    def step_of(self, number: int) -> int:
        """The global step of batch `number` that `steps` gave: steps without a sample are not among them."""
        step = self._begun_at + number
        for left_out in self._left_out:
            step += left_out <= step
        return step

    def follows(self, number: int) -> bool:
        """Whether `steps` gives a batch `number`, after the ones before; reads it ahead if it may be empty."""
        if self._num_delivered > number or self.loader.reader.on_bad.choice != "skip":
            return True
        for step in range(self._next_step, self._begun_end):
            batch = self._peeked[step] = self._batch(step, max(self._end, self._begun_end))
            if len(batch):
                return True
        return False

    def _nothing(self, num_steps: int) -> str:
        if num_steps >= len(self.loader):
            return NOTHING_READABLE
        return (
            f"all samples of {plural(num_steps, 'step')} in a row are bad, so nothing is left of an epoch of "
            f"train.steps_per_epoch={num_steps}; raise it, or set data.on_bad=substitute; mode=check lists all bad "
            "samples"
        )

    def _batch(self, step: int, end: int) -> Batch:
        """The batch of one step; the batches after it are read ahead up to `end`."""
        if step in self._peeked:
            return self._peeked.pop(step)
        if step in self._first:  # JAX and PyTorch take a batch to build a model (two on a GPU), then start again
            return self._first[step]
        is_new = step != self._next_step or step >= self._stream_end
        if is_new:
            self.close()
            self._stream, self._stream_end = self.loader.stream(step, end - step), end
        with self.loader.clock.waiting():
            batch = next(self._stream)
        self._next_step = step + 1
        self._first = {**self._first, step: batch} if is_new or len(self._first) == 1 else {}
        return batch

    def _shared(self, step: int, batch: Batch) -> Batch:
        """The batch as this process gives it to the model: all of it once a process has left out rows of its share."""
        loader = self.loader
        if loader.share is None:
            return batch
        start, stop = loader.plan.positions(step % len(loader))
        self.num_rows = stop - start
        if loader.reader.on_bad.choice != "skip":
            return batch
        if loader.share.divides(self.num_rows):
            from runner.distribute.devices import gathered

            if gathered(np.array([len(batch)])).sum() == self.num_rows:
                return batch
            batch = loader.batch(*divmod(step, len(loader)))
        self.num_rows = len(batch)
        return batch

    def close(self) -> None:
        """Give up all batches that were read ahead."""
        if isinstance(self._stream, Generator):
            self._stream.close()
        self._stream, self._stream_end, self._first, self._peeked = iter(()), 0, {}, {}

    def hand_over(self, step: int, batch: Batch) -> KerasBatch:
        """The batch in Keras's form: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

        Always a tuple: a list of targets breaks `fit` on TensorFlow.
        """
        self._on_step(step)
        if batch.y is None:
            return (batch.x,)
        y, weights = self._encode(batch.y, self._weigh(batch))
        return (batch.x, y) if weights is None else (batch.x, y, weights)

    @contextlib.contextmanager
    def _remembering_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.failure = error
            raise

    @contextlib.contextmanager
    def raising_failures(self) -> Iterator[None]:
        """Raise the loader's own error in place of an error of Keras.

        Keras's warning about missing batches is ignored: their samples were skipped, or the loader failed.
        """
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Your input ran out of data")
                yield
        except Exception as error:
            if self.failure is None or self.failure is error:
                raise
            raise self.failure from None


PIXELS_EVERY = 100
"""The pixels of every hundredth batch are digested, which costs half a millisecond per megabyte."""


class RecordedDelivery(Delivery):
    """Remembers the ids of each delivered batch until `settle` confirms that its step was trained.

    `empty_steps` counts the settled steps without a sample, whose samples were all skipped.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._ids: dict[int, tuple[str, ...]] = {}
        self._pixels: dict[int, str] = {}
        self.empty_steps = 0

    def hand_over(self, step: int, batch: Batch) -> KerasBatch:
        """As in `Delivery`; remembers the ids, and the digest of some batches."""
        share, loader = self.loader.share, self.loader
        draw = None if share is None else loader.plan.batch(*divmod(step, len(loader)))
        is_shared = draw is not None and share is not None and share.divides(len(draw))
        self._ids[step] = batch.ids if draw is None or not is_shared else self._ids_of_all(draw, batch)
        if step % PIXELS_EVERY == 0:
            values = [batch.x, *([batch.y] if loader.source.labels.fields else [])]  # arrays of the samples, too
            if is_shared:
                from runner.distribute.devices import gathered

                values = gathered(values)
            self._pixels[step] = array_digest(*values)
        return super().hand_over(step, batch)

    def _ids_of_all(self, draw: Draw, batch: Batch) -> tuple[str, ...]:
        """The ids of a batch, of which each process has a share; only substitutes are not known from its draw."""
        source, on_bad, share = self.loader.source, self.loader.reader.on_bad, self.loader.share
        if on_bad.choice != "substitute" or share is None:
            return tuple(names_at(source.ids, draw.indices))
        from runner.distribute.devices import gathered

        own = zip(share.of(draw).indices.tolist(), batch.ids, strict=True)
        numbers = [on_bad.number_of(index, source.ids, name) for index, name in own]
        tried = zip(draw.indices.tolist(), gathered(np.array(numbers)).tolist(), strict=True)
        return tuple(source.ids[on_bad.candidate(index, len(source), number)] for index, number in tried)

    def ids(self, step: int) -> tuple[str, ...]:
        """The ids of a delivered batch that is not settled."""
        return self._ids[step]

    def settle(self, ids: IdStream, pixels: IdStream, first_step: int, num_steps: int) -> int:
        """Add ids of trained steps to `ids`, digests of their `x` to `pixels`; return the number of their samples."""
        steps = range(first_step, first_step + num_steps)
        trained = [self._ids.pop(step) for step in steps]
        pixels.update(self._pixels.pop(step) for step in steps if step in self._pixels)
        for names in trained:
            ids.update(names)
        self.empty_steps += sum(not names for names in trained)
        return sum(map(len, trained))

    def forget(self) -> None:
        """Forget the batches that were only read ahead."""
        self._ids.clear()
        self._pixels.clear()
