"""What every loader is: something that gives the batches of any epoch, from any step on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Self

from runner.batch import ArraySpec, Batch
from runner.data.source import Source
from runner.errors import DataError, RunnerError
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad, ReadResult, SampleReader, complete, read_rows
from runner.loaders.timing import Clock
from runner.transforms.transform import Changes

Note = Callable[[str, str, str], None]
"""Told of every bad sample that is passed over, each time: its id, its path (its id without a file) and the reason."""


class Loader(ABC):
    """Carries a plan out over a source, whose samples may be changed on their way.

    Whatever the strategy, batch `step` of `epoch` holds the same samples in the same order with the same bits.
    """

    def __init__(self, source: Source, plan: Plan, changes: Changes = ()) -> None:
        self.source, self.plan, self.reader = source, plan, SampleReader(source, changes)
        self.clock = Clock()
        self.note: Note = lambda sample_id, name, reason: None

    def pass_over(self, on_bad: OnBad, note: Note) -> None:
        """Do as `on_bad` says about samples that cannot be read, and tell `note`; asked for before the first batch."""
        self.reader, self.note = replace(self.reader, on_bad=on_bad), note

    def __len__(self) -> int:
        """Steps in one epoch of the plan."""
        return self.plan.num_steps

    @property
    def num_samples(self) -> int:
        """Samples in the split."""
        return self.plan.num_samples

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes, in the order of their codes; None where the data has no classes."""
        heads = self.source.labels.heads
        return (heads[0].class_names or None) if heads else None

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of a sample as it stands in a batch."""
        return self.reader.spec

    def batch(self, epoch: int, step: int) -> Batch:
        """One batch by itself, read here and now."""
        return self.complete(read_rows(self.reader, epoch, self.plan.batch(epoch, step), self.clock))

    def complete(self, rows: ReadResult) -> Batch:
        """The batch of rows that were read; what was bad on the way is noted.

        Raises `DataError` where nothing is left of a batch to train on.
        """
        for bad in rows.bad:
            self.note(self.source.ids[bad.index], bad.name, bad.reason)
        if not len(rows.indices) and not self.reader.on_bad.may_be_empty:
            raise DataError(_nothing_left(rows))
        with self.clock.working("assemble", len(rows.indices)):
            return complete(self.source, rows.indices, rows.x)

    @abstractmethod
    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass over the split, from step `start` on. Batches may be kept."""

    def stream(self, first_step: int, num_steps: int | None = None) -> Iterator[Batch]:
        """`num_steps` batches from global step `first_step` on, across passes: nothing skipped, nothing twice.

        None: without an end. Raises `RunnerError` if a pass ends before its last step.
        """
        end = math.inf if num_steps is None else first_step + num_steps
        while first_step < end:
            epoch, start = divmod(first_step, len(self))
            steps = int(min(len(self) - start, end - first_step))
            given = 0
            for batch in islice(self.epoch(epoch, start), steps):
                yield batch
                given += 1
            if given < steps:
                raise RunnerError(f"epoch {epoch} of the data ended after {start + given} of {len(self)} steps")
            first_step += steps

    def close(self) -> None:  # noqa: B027
        """Stop workers and free what the loader holds; closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _nothing_left(rows: ReadResult) -> str:
    named = "; ".join(f"{bad.name}: {bad.reason}" for bad in rows.bad)
    return (
        "data.on_bad=skip must leave something of every batch to train on, got one of bad samples alone "
        f"({named}); set data.on_bad=substitute, or raise loader.batch_size"
    )
