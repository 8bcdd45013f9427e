"""The batches on their way to Keras, and what went wrong.

Batches that are trained on: whose ids they held is remembered until their steps are done.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import Any

from runner.batch import Array, Batch
from runner.errors import DataError
from runner.loaders.loader import Loader
from runner.records.digests import IdStream, array_digest

KerasBatch = tuple[Any, ...]


class Delivery:
    """Hands the batches of a loader over by global step.

    `failure` is the error that ended the loader, as it was raised: TensorFlow passes on only its text. `weigh` gives
    the sample weights of a batch, those it has unless told otherwise.

    Batches are read ahead up to global step `end`, over the ends of epochs: so the first ones of the next epoch are
    read while this one is validated.
    """

    def __init__(
        self,
        loader: Loader,
        on_step: Callable[[int], None] = lambda step: None,
        weigh: Callable[[Batch], Array | None] = lambda batch: batch.sample_weight,
        *,
        end: int = 0,
    ) -> None:
        self.loader = loader
        self.failure: Exception | None = None
        self._on_step, self._weigh = on_step, weigh
        self._end = end
        self._stream: Iterator[Batch] = iter(())
        self._stream_end = self._next_step = 0
        self._first: dict[int, Batch] = {}

    def steps(self, first_step: int, num_steps: int) -> Iterator[KerasBatch]:
        """`num_steps` batches from global step `first_step` on; fewer where all samples of some are left out.

        Raises `DataError` where nothing is left at all.
        """
        end, given = first_step + num_steps, 0
        with self._remembering_failure():
            for step in range(first_step, end):
                batch = self._batch(step, max(self._end, end))
                handed_over = self.hand_over(step, batch)
                if len(batch):
                    given += 1
                    yield handed_over
            if not given:
                raise DataError("none of these samples can be read; is the storage there? mode=check names them all")

    def _batch(self, step: int, end: int) -> Batch:
        """The batch of one step; what follows it up to `end` is being read."""
        if step in self._first:  # JAX and PyTorch take a batch to build a model (two on a GPU), and then begin anew
            return self._first[step]
        begins = step != self._next_step or step >= self._stream_end
        if begins:
            self.close()
            self._stream, self._stream_end = self.loader.stream(step, end - step), end
        with self.loader.clock.waiting():
            batch = next(self._stream)
        self._next_step = step + 1
        self._first = {**self._first, step: batch} if begins or len(self._first) == 1 else {}
        return batch

    def close(self) -> None:
        """Give up what was read ahead."""
        if isinstance(self._stream, Generator):
            self._stream.close()
        self._stream, self._stream_end, self._first = iter(()), 0, {}

    def hand_over(self, step: int, batch: Batch) -> KerasBatch:
        """The batch as Keras takes it: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

        A tuple, always: a list of targets breaks `fit` on TensorFlow.
        """
        self._on_step(step)
        if batch.y is None:
            return (batch.x,)
        weights = self._weigh(batch)
        return (batch.x, batch.y) if weights is None else (batch.x, batch.y, weights)

    @contextlib.contextmanager
    def _remembering_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.failure = error
            raise

    @contextlib.contextmanager
    def raising_failures(self) -> Iterator[None]:
        """Whatever error comes out of Keras, raise the loader's own where there is one.

        That there are fewer batches than their number was is no news: they were left out, or the loader has failed.
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
"""Of so many batches one is digested with its pixels, which costs half a millisecond per megabyte."""


class RecordedDelivery(Delivery):
    """Remembers the ids of each batch it hands over, for whoever is to `settle` the steps that were trained on."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._ids: dict[int, tuple[str, ...]] = {}
        self._pixels: dict[int, str] = {}

    def hand_over(self, step: int, batch: Batch) -> KerasBatch:
        """As every delivery."""
        self._ids[step] = batch.ids
        if step % PIXELS_EVERY == 0:
            self._pixels[step] = array_digest(batch.x)
        return super().hand_over(step, batch)

    def ids(self, step: int) -> tuple[str, ...]:
        """The ids in a batch that was handed over and is not settled."""
        return self._ids[step]

    def settle(self, ids: IdStream, pixels: IdStream, first_step: int, num_steps: int) -> int:
        """Add the ids of steps that were trained on to `ids`; returns the number of samples in these steps.

        The digests of those batches' `x` that were taken go to `pixels`.
        """
        steps = range(first_step, first_step + num_steps)
        trained = [self._ids.pop(step) for step in steps]
        pixels.update(self._pixels.pop(step) for step in steps if step in self._pixels)
        for names in trained:
            ids.update(names)
        return sum(len(names) for names in trained)

    def forget(self) -> None:
        """Forget what was only read ahead."""
        self._ids.clear()
        self._pixels.clear()
