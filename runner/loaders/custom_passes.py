"""Batches of the user's own making, pass after pass: by index from a Sequence, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from runner.errors import DataError
from runner.loaders.settings import LoaderSettings
from runner.loaders.workers import in_threads


class Passes(Protocol):
    """What the user's object gives, batch by batch, untouched."""

    @property
    def num_steps(self) -> int:
        """Batches in a pass."""

    @property
    def ids(self) -> Sequence[Any] | None:
        """The samples' ids in the order of the present pass; None where the object does not tell."""

    def from_step(self, start: int) -> Iterator[Any]:
        """The rest of a pass, from batch `start` on; 0 begins the next pass."""

    def end(self) -> None:
        """The last batch of a pass was taken, and nothing of it is needed any more."""


class Indexed:
    """A `Sequence`, a `PyDataset`, or a list: batch `i` is `data[i]`.

    `on_epoch_begin` and `on_epoch_end`, where it has them, are called once per pass, before its first batch is read
    and after its last one was. (Keras calls the latter once too often, before the first epoch.) Nothing else of the
    object is used, so it works where `super().__init__()` was never called.
    """

    def __init__(self, data: Any, settings: LoaderSettings) -> None:
        self._data, self._settings = data, settings
        self.num_steps = len(data)

    @property
    def ids(self) -> Sequence[Any] | None:
        """Those the object has."""
        return getattr(self._data, "ids", None)

    def from_step(self, start: int) -> Iterator[Any]:
        """The rest of a pass; threads read ahead of it, from its second batch on."""
        if start == 0:
            self._tell("on_epoch_begin")
            yield self._data[0]
        settings = self._settings
        yield from in_threads(
            self._data.__getitem__,
            range(max(1, start), self.num_steps),
            workers=settings.workers,
            timeout_seconds=settings.timeout_seconds,
            ahead=settings.max_queue_size,
            noun="batch",
        )

    def end(self) -> None:
        """Call `on_epoch_end`."""
        self._tell("on_epoch_end")

    def _tell(self, hook: str) -> None:
        if hasattr(self._data, hook):
            getattr(self._data, hook)()


class Repeated:
    """What is read one after the other: a generator, a `tf.data.Dataset`, any iterable.

    `begin` gives an iterator. Where it `goes_on`, a pass begins where the last one ended, with a new iterator only
    when the old one has ended; else each pass begins with a new one, so that each reads the same. `steps_key` is the
    key that says how many batches a pass has.
    """

    ids = None

    def __init__(self, begin: Callable[[], Iterator[Any]], num_steps: int, *, goes_on: bool, steps_key: str) -> None:
        self._begin, self.num_steps, self._goes_on, self._steps_key = begin, num_steps, goes_on, steps_key
        self._iterator: Iterator[Any] | None = None
        self._given = 0

    def from_step(self, start: int) -> Iterator[Any]:
        """The rest of a pass.

        Raises `DataError` where it ends before its last batch.
        """
        for step in range(start, self.num_steps):
            if step == 0 and not self._goes_on:
                self._iterator = None
            yield self._next(step)

    def end(self) -> None:
        """Nothing: what comes next is the iterator's affair."""

    def _next(self, step: int) -> Any:
        if step == 0 and self._iterator is not None:
            for batch in self._iterator:
                self._given += 1
                return batch
            self._iterator = None
        if self._iterator is None:
            self._iterator, self._given = self._begin(), 0
        for batch in self._iterator:
            self._given += 1
            return batch
        whole = f"; give {self._steps_key}={self._given}, or a number that divides it" if self._given else ""
        raise DataError(
            f"it ended after {self._given:,} batches, {step:,} into a pass of {self._steps_key}={self.num_steps}"
            f"{whole or '; it must give batches'}, or let it give batches without end"
        )
