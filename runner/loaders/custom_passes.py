"""Passes over the user's batches: by index from a Sequence, or one after the other from an iterator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from runner.errors import DataError
from runner.loaders.settings import LoaderSettings
from runner.loaders.workers import in_threads
from runner.messages import plural


class Passes(Protocol):
    """The batches of the user's object, unchanged."""

    @property
    def num_steps(self) -> int:
        """Batches in a pass."""

    @property
    def ids(self) -> Sequence[Any] | None:
        """The samples' ids in the order of the current pass; None if the object has none."""

    def from_step(self, start: int) -> Iterator[Any]:
        """The rest of a pass, from batch `start` on; 0 starts the next pass."""

    def end(self) -> None:
        """Called after the last batch of a pass was taken."""


class Indexed:
    """A `Sequence`, a `PyDataset`, or a list: batch `i` is `data[i]`.

    If it has `on_epoch_begin` and `on_epoch_end`, each is called once per pass, before the first batch is read and
    after the last one. (Keras calls the latter once too often, before the first epoch.) Nothing else of the object is
    used, so it works even if `super().__init__()` was never called. If it `continues`, a pass starts at the index where
    the last one ended: for data without an end.
    """

    def __init__(self, data: Any, settings: LoaderSettings, num_steps: int, *, continues: bool = False) -> None:
        self._data, self._settings, self.num_steps = data, settings, num_steps
        self._continues, self._begun_at = continues, -num_steps if continues else 0

    @property
    def ids(self) -> Sequence[Any] | None:
        """The `ids` of the object."""
        return getattr(self._data, "ids", None)

    def from_step(self, start: int) -> Iterator[Any]:
        """The rest of a pass; threads read ahead from the second batch on."""
        if start == 0:
            self._begun_at += self.num_steps if self._continues else 0
            self._call("on_epoch_begin")
            yield self._data[self._begun_at]
        settings, first = self._settings, self._begun_at
        yield from in_threads(
            self._data.__getitem__,
            range(first + max(1, start), first + self.num_steps),
            workers=settings.workers,
            timeout_seconds=settings.timeout_seconds,
            ahead=settings.max_queue_size,
            noun="batch",
        )

    def end(self) -> None:
        """Call `on_epoch_end`."""
        self._call("on_epoch_end")

    def _call(self, hook: str) -> None:
        if hasattr(self._data, hook):
            getattr(self._data, hook)()


class Repeated:
    """Batches one after the other: from a generator, a `tf.data.Dataset`, any iterable.

    `begin` returns a new iterator. If it `continues`, a pass starts where the last one ended, and a new iterator starts
    only when the old one has ended. Otherwise each pass starts with a new one, so that all passes are equal.
    `steps_key` is the key for the number of batches per pass.
    """

    ids = None

    def __init__(self, begin: Callable[[], Iterator[Any]], num_steps: int, *, continues: bool, steps_key: str) -> None:
        self._begin, self.num_steps, self._continues, self._steps_key = begin, num_steps, continues, steps_key
        self._iterator: Iterator[Any] | None = None
        self._num_read = 0

    def from_step(self, start: int) -> Iterator[Any]:
        """The rest of a pass.

        Raises `DataError` if it ends before its last batch.
        """
        for step in range(start, self.num_steps):
            if step == 0 and not self._continues:
                self._iterator = None
            yield self._next(step)

    def end(self) -> None:
        """Nothing to do."""

    def _next(self, step: int) -> Any:
        if step == 0 and self._iterator is not None:
            for batch in self._iterator:
                self._num_read += 1
                return batch
            self._iterator = None
        if self._iterator is None:
            self._iterator, self._num_read = self._begin(), 0
        for batch in self._iterator:
            self._num_read += 1
            return batch
        fix = f"set {self._steps_key}={self._num_read} or a divisor of it" if self._num_read else "it must give batches"
        raise DataError(
            f"it ended after {plural(self._num_read, 'batch', 'batches')}, {step:,} into a pass of "
            f"{self._steps_key}={self.num_steps}; {fix}, or let it give batches without end"
        )
