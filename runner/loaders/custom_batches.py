"""The user's batches of one split, in order: checked, copied, and with an id for each sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec, Batch, Targets
from runner.data.labels import Head, Labels
from runner.data.source import Source
from runner.errors import BadSampleError, DataError, RunnerError
from runner.finite import all_finite, batch_dtype, first_not_finite, narrowed, not_finite_text
from runner.loaders.custom_heads import column_of
from runner.loaders.custom_passes import Passes
from runner.loaders.loader import Loader
from runner.loaders.reader import allocate
from runner.messages import plural
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


@dataclass(frozen=True)
class UserBatch:
    """A batch of the user, as arrays; the user's code may write to the memory of `x` again."""

    x: Array
    y: Targets
    sample_weight: Targets

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of a sample; float64 becomes float32."""
        return ArraySpec(self.x.shape[1:], batch_dtype(self.x.dtype))

    @property
    def targets(self) -> Mapping[str, Array]:
        """The targets by the names of their heads."""
        return self.y if isinstance(self.y, dict) else {} if self.y is None else {"": self.y}


class CustomBatches(Source):
    """The batches of one split in their only order, with the ids and labels seen in the current pass.

    It takes the place of a source. `first` is the first batch, which was read to learn the shapes; `rest` is the rest
    of the first pass. While `training`, passes follow one another, and ids and labels are not kept: they may not fit in
    memory. Otherwise each pass starts again from the first batch, and those of the last pass are kept.
    """

    spec: ArraySpec

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

    def read(self, index: int, out: Array | None = None) -> Array:
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
            given, self._first = self._first or arrays_of(next(self._rest)), None
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
        x = allocate(self.spec, len(given.x))
        if given.x.shape != x.shape or not np.can_cast(given.x.dtype, x.dtype, "same_kind"):
            raise DataError(
                f"samples of x must be {self.spec}, as in the first batch, got "
                f"{ArraySpec(given.x.shape[1:], given.x.dtype)}"
            )
        x[...] = narrowed(given.x)
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
            for parts, column in zip(self._columns, columns, strict=True):
                parts.append(column)
        return Batch(x, given.y if self.heads else None, given.sample_weight, ids)

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


def arrays_of(batch: Any) -> UserBatch:
    """The arrays of a batch in one of Keras's forms: `x`, `(x, y)` or `(x, y, sample_weight)`.

    A single input or weight may have a name, or be the only item of a list. Raises `DataError` for anything else.
    """
    parts = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    if not 1 <= len(parts) <= 3:
        raise DataError(f"a batch must be x, (x, y) or (x, y, sample_weight), got {len(parts)} parts")
    given, y, weights = (*parts, None, None)[:3]
    x, y = _only(given), y if isinstance(y, dict) else _only(y)
    if isinstance(x, dict | list | tuple):
        raise DataError(
            f"x must be one array, got {type(x).__name__} of {len(x)}: models of several inputs are not supported"
        )
    if isinstance(y, list | tuple):
        raise DataError(
            "y must be one array, or a dictionary of arrays by the names of the model's outputs, got a "
            f"{type(y).__name__}; make it a numpy.array, or give the outputs names"
        )
    x = np.asarray(x)
    if x.ndim < 2 or x.dtype.kind not in "biuf" or not len(x):
        raise DataError(f"x must hold numbers and have shape (samples, …), got shape {x.shape} of {x.dtype}")
    targets = _targets(y)
    return UserBatch(x, targets, None if weights is None else _weights(weights, targets, len(x)))


def _only(value: Any) -> Any:
    """The only item of a dictionary, or of a list whose item is an array; any other value as it is."""
    if isinstance(value, dict) and len(value) == 1:
        return next(iter(value.values()))
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 and np.ndim(value[0]) else value


def _targets(y: Any) -> Targets:
    if y is None:
        return None
    if not isinstance(y, dict):
        return np.array(y)
    targets = {str(name): np.array(target) for name, target in y.items()}
    return targets if len(targets) > 1 else next(iter(targets.values()), None)


def _weights(weights: Any, y: Targets, num_samples: int) -> Targets:
    """Weights of the samples, by output if they are a dictionary; an output without weights has weights of 1."""
    if not isinstance(weights, dict):
        return _column_of_weights(weights, "sample_weight", num_samples)
    if not isinstance(y, dict) and len(weights) == 1:
        return _column_of_weights(_only(weights), "sample_weight", num_samples)
    names = list(y) if isinstance(y, dict) else []
    unknown = [str(name) for name in weights if str(name) not in names]
    if unknown:
        raise DataError(
            f"sample_weight must name outputs of y ({', '.join(names) or 'it is one array'}), got {', '.join(unknown)}"
        )
    ones = np.ones(num_samples, np.float32)
    return {
        name: _column_of_weights(weights.get(name, ones), f"sample_weight[{name!r}]", num_samples) for name in names
    }


def _column_of_weights(weights: Any, called: str, num_samples: int) -> Array:
    column = narrowed(np.array(weights, np.float64)).reshape(-1)
    if len(column) != num_samples:
        raise DataError(f"{called} must hold one number for each of {plural(num_samples, 'sample')}, got {len(column)}")
    if not all_finite(column):
        raise DataError(f"{called} must hold numbers, got {not_finite_text(column)}")
    return column
