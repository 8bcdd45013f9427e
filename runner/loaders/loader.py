"""Loader, the base class of all strategies: the batches of any epoch, from any step on; and the simplest of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import count, islice
from types import TracebackType
from typing import Self

from runner.batch import Batch
from runner.data.source import Source
from runner.distribute.ranks import Share
from runner.errors import DataError, RunnerError
from runner.fields import SampleSpec
from runner.loaders.blend import Blend, PhaseAugmentation
from runner.loaders.draw import Draw
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad, ReadResult, SampleReader, complete, read_batch
from runner.loaders.timing import Clock
from runner.loaders.windows import Windows
from runner.messages import plural
from runner.transforms.transform import Transforms
from runner.watchdog import Watchdog

NOTHING_READABLE = "no sample can be read; is the storage available? mode=check lists all bad samples"

NoteBad = Callable[[str, str, str], None]
"""Called for every bad sample that is skipped, each time: its id, its path (or its id) and the reason."""


class Loader(ABC):
    """Carries out a plan over a source, and transforms its samples.

    Whatever the strategy, batch `step` of `epoch` holds the same samples in the same order with the same bits.
    """

    def __init__(self, source: Source, plan: Plan, transforms: Transforms = ()) -> None:
        self.source, self.plan, self.reader = source, plan, SampleReader(source, transforms)
        self.clock = Clock()
        self.windows = Windows.of(plan, source)
        self.watchdog: Watchdog | None = None
        """Limits reads in the main thread, for a loader that is used outside of a run; a run has its own."""
        self.share: Share | None = None
        """What this process reads of each batch, if several train together; `batch` gives whole batches even then."""
        self.blend: Blend | None = None
        """Mixes the samples of each batch with each other, once it is read."""
        self.note: NoteBad = lambda sample_id, name, reason: None

    def handle_bad(self, on_bad: OnBad, note: NoteBad) -> None:
        """Handle samples that cannot be read by `on_bad`, and call `note` for each; set before the first batch."""
        self.reader, self.note = replace(self.reader, on_bad=on_bad), note

    def augment_by(self, augmentation: PhaseAugmentation) -> None:
        """Augment in another way, to samples of the same spec, from the next `stream` or `epoch` on."""
        self.reader, self.blend = replace(self.reader, transforms=augmentation.transforms), augmentation.blend

    def __len__(self) -> int:
        """Steps in one epoch of the plan."""
        return self.plan.num_steps

    @property
    def num_samples(self) -> int:
        """Samples in the split."""
        return self.plan.num_samples

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes by code; None if the data has no classes."""
        heads = self.source.labels.heads
        return (heads[0].class_names or None) if heads else None

    @property
    def spec(self) -> SampleSpec:
        """Shape and dtype of a sample in a batch."""
        return self.reader.spec

    def draw(self, epoch: int, step: int) -> Draw:
        """The samples of a batch that this process reads."""
        whole = self.plan.batch(epoch, step)
        if self.share is None:
            return whole
        rows = self.share.rows(len(whole))
        if self.blend is None or not self.share.divides(len(whole)):
            return whole[rows]
        return whole[self.blend.reads(rows, len(whole), epoch, step)]

    def batch(self, epoch: int, step: int) -> Batch:
        """One batch, read in the caller's thread."""
        with self.limited():
            batch = self._assembled(read_batch(self.reader, self.plan.batch(epoch, step), self.clock))
            return batch if self.blend is None else self.blend.mix(batch, epoch, step)

    def in_caller(self, first_step: int, num_steps: int | None) -> Iterator[Batch]:
        """`num_steps` batches from global step `first_step` on, read in the caller's thread; None: without an end."""
        reads = None if self.windows is None else self.windows.read(first_step, num_steps, self.clock)
        try:
            for step in count(first_step) if num_steps is None else range(first_step, first_step + num_steps):
                place = divmod(step, len(self))
                with self.limited(), nullcontext() if reads is None else reads.using(*place):
                    batch = self.complete(read_batch(self.reader, self.draw(*place), self.clock), *place)
                yield batch
        finally:
            if reads is not None:
                reads.close()

    def limited(self) -> AbstractContextManager[None]:
        """Limits the time of reads in the block by `loader.timeout_seconds`."""
        return nullcontext() if self.watchdog is None else self.watchdog.watching()

    def first_batch(self) -> Batch:
        """The first batch of the first pass that holds a sample.

        Raises `DataError` if all samples are bad.
        """
        for step in range(len(self)):
            if len(batch := self.batch(0, step)):
                return batch
        raise DataError(NOTHING_READABLE)

    def complete(self, result: ReadResult, epoch: int, step: int) -> Batch:
        """The batch of a read result, mixed if there is a blend; empty if all its samples are bad, which are noted."""
        batch = self._assembled(result)
        if self.blend is None:
            return batch
        start, stop = self.plan.positions(step)
        with self.clock.working("assemble", 0):
            if self.share is None or not self.share.divides(stop - start):
                return self.blend.mix(batch, epoch, step)
            return self.blend.mix_part(batch, self.share.rows(stop - start), stop - start, epoch, step)

    def _assembled(self, result: ReadResult) -> Batch:
        """The batch of a read result; notes the bad samples."""
        for bad in result.bad:
            self.note(self.source.ids[bad.index], bad.name, bad.reason)
        with self.clock.working("assemble", len(result.indices)):
            return complete(self.source, result.indices, result.x)

    @abstractmethod
    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass over the split, from step `start` on. Batches may be kept."""

    def stream(self, first_step: int, num_steps: int | None = None) -> Iterator[Batch]:
        """`num_steps` batches from global step `first_step` on, across passes; None: without an end.

        Raises `RunnerError` if a pass ends before its last step.
        """
        end = math.inf if num_steps is None else first_step + num_steps
        while first_step < end:
            epoch, start = divmod(first_step, len(self))
            steps = int(min(len(self) - start, end - first_step))
            num_batches = 0
            for batch in islice(self.epoch(epoch, start), steps):
                yield batch
                num_batches += 1
            if num_batches < steps:
                raise RunnerError(
                    f"epoch {epoch} of the data ended after {start + num_batches} of {plural(len(self), 'step')}"
                )
            first_step += steps

    def close(self) -> None:
        """Stop the workers and free the memory; may be called twice."""
        if self.windows is not None:
            self.windows.close()
        if self.watchdog is not None:
            self.watchdog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class GeneratorLoader(Loader):
    """Reads each batch when the caller takes it."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass, from step `start` on."""
        return self.in_caller(epoch * len(self) + start, len(self) - start)
