"""The user's batches of one split, in order: checked, copied, and with an id for each sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec, Batch, Targets
from runner.data.labels import Head, Labels
from runner.data.source import Source
from runner.errors import BadSampleError, DataError, RunnerError
from runner.fields import SampleSpec, Values, arrays_of, inputs_of
from runner.finite import first_not_finite, narrowed, not_finite_text
from runner.loaders.custom_heads import column_of, mask_codes
from runner.loaders.custom_passes import Passes
from runner.loaders.loader import Loader
from runner.loaders.reader import allocate
from runner.loaders.user_batch import UserBatch, called, user_batch
from runner.messages import first_few, plural
from runner.user_code import error_text
from runner.watchdog import watched


@dataclass(frozen=True)
class BatchOrigin:
    """The user's class or function, its split, and the heads whose modes were detected from its first batch."""

    target: str
    split: str
    detected: frozenset[str] = frozenset()

    def name_of(self, epoch: int, step: int) -> str:
        """A batch in messages."""
        return f"{self.target}, {self.split}, pass {epoch + 1}, batch {step}"

    @contextmanager
    def naming_batch(self, epoch: int, step: int) -> Iterator[None]:
        """Turn any error of the block into a `DataError` that names the batch and the line of the user's code."""
        where = self.name_of(epoch, step)
        try:
            yield
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        except RunnerError:
            raise
        except Exception as error:
            raise DataError(f"{where}: {error_text(error, self.target)}") from error


class CustomBatches(Source):
    """The batches of one split in their only order, with the ids and labels seen in the current pass.

    It takes the place of a source. `first` is the first batch, which was read to learn the shapes; `rest` is the rest
    of the first pass. While `training`, passes follow one another, and ids and labels are not kept: they may not fit in
    memory. Otherwise each pass starts again from the first batch, and those of the last pass are kept.
    """

    spec: SampleSpec

    def __init__(
        self,
        maker: BatchOrigin,
        passes: Passes,
        *,
        first: UserBatch,
        rest: Iterator[Any],
        heads: tuple[Head, ...],
        training: bool,
    ) -> None:
        self._maker, self._passes, self._training = maker, passes, training
        self.heads, self.spec, self.num_steps = heads, first.spec, passes.num_steps
        self._first: UserBatch | None = first
        self._rest = rest
        self._next: tuple[int, int] | None = None
        self._last: tuple[int, int, Batch] | None = None
        self._forget()

    def _forget(self) -> None:
        self.num_samples = 0
        self.ids: list[str] = []
        self._columns: tuple[list[Array], ...] = tuple([] for _ in self.heads)

    def __len__(self) -> int:
        return self.num_samples

    @property
    def named(self) -> bool:
        """Whether the user's object has ids."""
        return self._passes.ids is not None

    @property
    def labels(self) -> Labels:
        """The labels seen in the current pass."""
        columns = tuple(np.concatenate(parts) if parts else np.empty(0, np.int64) for parts in self._columns)
        return Labels(self.heads, columns)

    def read(self, index: int, out: Values = None) -> Values:
        """Raises `BadSampleError`: there are only batches."""
        raise BadSampleError(str(index), f"{self._maker.target} gives batches, not single samples")

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The rest of pass `epoch`, from batch `start` on.

        The last batch may be taken once more: Keras takes one to learn its shape, and starts again. Raises `DataError`
        for an earlier batch, for one that cannot be made, and for one that does not match the first.
        """
        if self._last is not None and self._last[:2] == (epoch, start) and (self._training or self.num_steps > 1):
            yield self._last[2]
            start += 1
        for step in range(start, self.num_steps):
            yield self._take(epoch, step)

    def close(self) -> None:
        """Stop the threads that read ahead."""
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()

    def _take(self, epoch: int, step: int) -> Batch:
        with watched(lambda: self._maker.name_of(epoch, step)), self._maker.naming_batch(epoch, step):
            if step == 0 or (epoch, step) != self._next:
                self._go_to(epoch, step)
            given, self._first = self._first or user_batch(next(self._rest)), None
            batch = self._batch(given)
            if step == self.num_steps - 1:
                self._passes.end()
        self._next = (epoch, step + 1) if step + 1 < self.num_steps else (epoch + 1, 0)
        self._last = (epoch, step, batch)
        return batch

    def _go_to(self, epoch: int, step: int) -> None:
        """Start a pass or skip batches; only forwards if passes follow one another."""
        restarts = step == 0 and not self._training
        if self._next is not None and not restarts and (epoch, step) < self._next:
            raise DataError(
                f"the batches have one order, and the next one is pass {self._next[0] + 1}, batch {self._next[1]}; "
                "make a new loader to start from the first batch"
            )
        if step == 0:
            self._forget()
        if self._next is not None or step > 0:
            self.close()
            self._first, self._rest = None, self._passes.from_step(step)

    def _batch(self, given: UserBatch) -> Batch:
        # A copy at an aligned address: TensorFlow uses it directly, and the user's code may reuse its array.
        x, parts = allocate(self.spec, len(given.x)), dict(arrays_of(given.x))
        if parts.keys() != dict(arrays_of(x)).keys():
            raise DataError(f"x must have the arrays of the first batch, {self.spec}, got {first_few(parts)}")
        for name, array in arrays_of(x):
            part = parts[name]
            if part.shape != array.shape or not np.can_cast(part.dtype, array.dtype, "same_kind"):
                raise DataError(
                    f"samples of {called(name)} must be {ArraySpec(array.shape[1:], array.dtype)}, as in the first "
                    f"batch, got {ArraySpec(part.shape[1:], part.dtype)}"
                )
            array[...] = narrowed(part)
        ids = self._ids(len(x))
        if (row := first_not_finite(x)) is not None:
            raise DataError(f"sample {ids[row]}: {not_finite_text(x[row])} in row {row} of x; leave such samples out")
        targets = given.targets if self.heads else {}
        if sorted(targets) != sorted(head.name for head in self.heads):
            raise DataError(f"y must have the targets of the first batch, got {', '.join(targets) or 'none'}")
        columns = [
            column_of(head, targets[head.name], x, detected=head.name in self._maker.detected) for head in self.heads
        ]
        self.num_samples += len(x)
        if not self._training:
            self.ids += ids
            for seen, column in zip(self._columns, columns, strict=True):
                seen.append(column)
        return Batch(inputs_of(x), *self._targets(given), ids)

    def _targets(self, given: UserBatch) -> tuple[Targets, Targets]:
        """`y`, with masks as codes, and the weights, of the rank of each loss."""
        if not self.heads:
            return None, given.sample_weight
        masks = {head.name: head for head in self.heads if head.mode == "mask"}
        y = {name: mask_codes(masks[name], array) if name in masks else array for name, array in given.targets.items()}
        weights, by_name = given.sample_weight, {head.name: head for head in self.heads}
        if weights is not None and any(head.mode == "mask" or head.shape for head in self.heads):
            by_head = weights if isinstance(weights, dict) else dict.fromkeys(y, weights)
            weights = {name: by_name[name].weigh(one) for name, one in by_head.items()}
        return _unwrapped(y), _unwrapped(weights)

    def _ids(self, count: int) -> tuple[str, ...]:
        user_ids, start = self._passes.ids, self.num_samples
        if user_ids is None:
            return tuple(map(str, range(start, start + count)))
        ids = tuple(map(str, user_ids[start : start + count]))
        if len(ids) < count:
            raise DataError(
                f"{self._maker.target}: ids must name all samples of a pass, got only {plural(len(user_ids), 'id')}"
            )
        return ids


def _unwrapped(by_head: Targets) -> Targets:
    return by_head[""] if isinstance(by_head, dict) and list(by_head) == [""] else by_head


class CustomLoader(Loader):
    """Batches in the order of the user's code. Its plan counts batches, not samples."""

    source: CustomBatches

    @property
    def num_samples(self) -> int:
        """Samples seen in the current pass; the total is not known before."""
        return self.source.num_samples

    def batch(self, epoch: int, step: int) -> Batch:
        """One batch: the next one, the last one again, or a later one, which skips the batches between."""
        return next(self.epoch(epoch, step))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The rest of a pass, from step `start` on. Earlier batches cannot be read again."""
        return self.source.batches(epoch, start)

    def close(self) -> None:
        """Stop the threads that read ahead."""
        self.source.close()
        super().close()
