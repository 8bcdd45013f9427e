"""The ready-made batches of one split: which comes next, checked, copied, and named by the position of its samples."""

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
from runner.loaders.custom_heads import column_of
from runner.loaders.custom_passes import Passes
from runner.loaders.reader import allocate
from runner.user_code import told


@dataclass(frozen=True)
class Maker:
    """Who makes batches: the user's class or function, and for which split."""

    target: str
    split: str

    @contextmanager
    def blamed(self, epoch: int, step: int) -> Iterator[None]:
        """Whatever goes wrong in the block becomes a `DataError` that names the batch, and the line it happened in."""
        where = f"{self.target}, {self.split}, pass {epoch + 1}, batch {step}"
        try:
            yield
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        except RunnerError:
            raise
        except Exception as error:
            raise DataError(f"{where}: {told(error, self.target)}") from error


@dataclass(frozen=True)
class Given:
    """What the user gave as a batch, as arrays; `x` may be memory the user writes to again."""

    x: Array
    y: Targets
    sample_weight: Array | None

    @property
    def spec(self) -> ArraySpec:
        """What the batch's samples become: as they are, but float32 for float64."""
        too_wide = self.x.dtype.kind == "f" and self.x.dtype.itemsize > 4
        return ArraySpec(self.x.shape[1:], np.dtype(np.float32) if too_wide else self.x.dtype)

    @property
    def targets(self) -> Mapping[str, Array]:
        """The targets by the names of their heads."""
        return self.y if isinstance(self.y, dict) else {} if self.y is None else {"": self.y}


class CustomBatches(Source):
    """The batches of one split, in the one order there is, and what was seen of their samples in the present pass.

    In the place of a source: samples are told batch by batch only. `first` is the first batch, read to learn what
    batches look like, and `rest` what follows it in the first pass. While `training`, passes follow one another by
    their number, and neither ids nor labels are kept, of which there may be more than memory holds; else each pass is
    whole and begins anew, and those of the last one are kept.
    """

    spec: ArraySpec

    def __init__(
        self,
        maker: Maker,
        passes: Passes,
        *,
        first: Given,
        rest: Iterator[Any],
        heads: tuple[Head, ...],
        training: bool,
    ) -> None:
        self._maker, self._passes, self._training = maker, passes, training
        self.heads, self.spec, self.num_steps = heads, first.spec, passes.num_steps
        self._first: Given | None = first
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
        """Whether the samples have ids of their own."""
        return self._passes.ids is not None

    @property
    def labels(self) -> Labels:
        """The labels seen in the present pass."""
        columns = tuple(np.concatenate(parts) if parts else np.empty(0, np.int64) for parts in self._columns)
        return Labels(self.heads, columns)

    def read(self, index: int, out: Array | None = None) -> Array:
        """Nothing: there are only batches."""
        raise BadSampleError(str(index), f"{self._maker.target} gives batches, and no single sample")

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The rest of pass `epoch`, from batch `start` on.

        The batch handed over last may be asked for once more: Keras takes one to learn its shape, and begins again.
        Raises `DataError` for a batch that has gone by, and for one that cannot be made or is not like the first.
        """
        if self._last is not None and self._last[:2] == (epoch, start) and (self._training or self.num_steps > 1):
            yield self._last[2]
            start += 1
        for step in range(start, self.num_steps):
            yield self._take(epoch, step)

    def close(self) -> None:
        """Stop what reads ahead."""
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()

    def _take(self, epoch: int, step: int) -> Batch:
        with self._maker.blamed(epoch, step):
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
        """Begin a pass, or go to another place than the next: only forwards where passes follow one another."""
        begins_anew = step == 0 and not self._training
        if self._next is not None and not begins_anew and (epoch, step) < self._next:
            raise DataError(
                f"batches come in one order, and pass {self._next[0] + 1}, batch {self._next[1]} is the next; "
                "make another loader to begin from the start"
            )
        if step == 0:
            self._forget()
        if self._next is not None or step > 0:
            self.close()
            self._first, self._rest = None, self._passes.from_step(step)

    def _batch(self, given: Given) -> Batch:
        # A copy on an aligned address: TensorFlow takes it without another, and the user's array may be used again.
        x = allocate(self.spec, len(given.x))
        if given.x.shape != x.shape or not np.can_cast(given.x.dtype, x.dtype, "same_kind"):
            raise DataError(
                f"x must have samples of shape {self.spec.shape} and {self.spec.dtype}, as in the first batch, got "
                f"{given.x.shape[1:]} and {given.x.dtype}"
            )
        x[...] = given.x
        targets = given.targets if self.heads else {}
        if sorted(targets) != sorted(head.name for head in self.heads):
            raise DataError(f"y must have the targets of the first batch, got {', '.join(targets) or 'none'}")
        columns = [column_of(head, targets[head.name], x) for head in self.heads]
        ids = self._ids(len(x))
        self.num_samples += len(x)
        if not self._training:
            self.ids += ids
            for parts, column in zip(self._columns, columns, strict=True):
                parts.append(column)
        return Batch(x, given.y if self.heads else None, given.sample_weight, ids)

    def _ids(self, count: int) -> tuple[str, ...]:
        told, start = self._passes.ids, self.num_samples
        if told is None:
            return tuple(map(str, range(start, start + count)))
        ids = tuple(map(str, told[start : start + count]))
        if len(ids) < count:
            raise DataError(f"{self._maker.target}: ids must name all samples of a pass, got only {len(told):,}")
        return ids


def arrays_of(batch: Any) -> Given:
    """A batch as Keras takes it, `x`, `(x, y)` or `(x, y, sample_weight)`, as arrays.

    Raises `DataError` where it is something else.
    """
    parts = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    if not 1 <= len(parts) <= 3:
        raise DataError(f"a batch must be x, (x, y) or (x, y, sample_weight), got {len(parts)} parts")
    x, y, weights = (*parts, None, None)[:3]
    if isinstance(x, dict | list | tuple):
        raise DataError(f"x must be one array, got {type(x).__name__}: models of several inputs are not supported")
    if isinstance(y, list | tuple):
        raise DataError(
            "y must be one array, or a dictionary of arrays by the names of the model's outputs, got a "
            f"{type(y).__name__}; make it a numpy.array, or give the outputs names"
        )
    x = np.asarray(x)
    if x.ndim < 2 or x.dtype.kind not in "biuf" or not len(x):
        raise DataError(f"x must hold numbers, of shape (samples, …), got shape {x.shape} of {x.dtype}")
    return Given(x, _targets(y), None if weights is None else np.array(weights, np.float32))


def _targets(y: Any) -> Targets:
    if y is None:
        return None
    if not isinstance(y, dict):
        return np.array(y)
    targets = {str(name): np.array(target) for name, target in y.items()}
    return targets if len(targets) > 1 else next(iter(targets.values()), None)
