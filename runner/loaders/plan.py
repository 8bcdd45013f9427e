"""Plan: which samples are in which batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from runner.batch import Indices
from runner.loaders.block_order import BlockTable
from runner.loaders.draw import Draw
from runner.loaders.permutation import Permutation
from runner.seeds import Purpose, derive

BLOCK = 4096
"""Positions to permute in one call: 32 of them cost 20 times more in a call of their own (NumPy's overhead)."""

KEPT_BLOCKS = 8
"""Blocks of 32 KB to cache: enough for a training and a validation plan with several workers."""


class Drawing(Protocol):
    """An order in which an epoch may hold a sample several times, or not at all."""

    @property
    def num_draws(self) -> int:
        """Draws in an epoch."""

    def at(self, seed: int, epoch: int, start: int, stop: int) -> Draw:
        """The draws at positions start … stop - 1 of an epoch, computed directly."""

    def __hash__(self) -> int:
        """The hash; a drawing that is equal draws the same."""


@dataclass(frozen=True)
class Plan:
    """Batch `step` of pass `epoch`: a pure function of these fields and (epoch, step).

    Each pass has every sample once, in a new order; without `shuffle`, in the order of the source. With `blocks` a pass
    goes block by block through large files; without `shuffle`, in the order of these files. With `drawing` an epoch has
    the samples that it draws, and as many. `drop_remainder` drops a last batch that is not full. With neither, memory
    does not grow with the number of samples, so ten billion are as cheap as ten. Threads and processes may share a
    plan.

    Raises `ValueError` for a field out of range.

    >>> plan = Plan(num_samples=10, batch_size=4, seed=5)
    >>> [plan.batch(0, step).indices.tolist() for step in range(plan.num_steps)]
    [[3, 4, 7, 8], [9, 6, 1, 0], [2, 5]]
    """

    num_samples: int
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    drop_remainder: bool = False
    blocks: BlockTable | None = None
    drawing: Drawing | None = None

    def __post_init__(self) -> None:
        for name, least in (("num_samples", 1), ("batch_size", 1), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if self.drop_remainder and self.num_draws < self.batch_size:
            raise ValueError(
                f"drop_remainder=true leaves no batch: batch_size={self.batch_size} is more than the "
                f"{self.num_draws} samples; lower batch_size or set drop_remainder=false"
            )
        if self.blocks is not None and self.blocks.num_samples != self.num_samples:
            raise ValueError(f"num_samples must be the {self.blocks.num_samples} of the blocks, got {self.num_samples}")

    @property
    def num_draws(self) -> int:
        """Samples in the batches of one pass, before `drop_remainder`: the number of samples, but for a `drawing`."""
        return self.num_samples if self.drawing is None else self.drawing.num_draws

    @property
    def num_steps(self) -> int:
        """Batches in one pass."""
        full, rest = divmod(self.num_draws, self.batch_size)
        return full if self.drop_remainder else full + (rest > 0)

    def batch(self, epoch: int, step: int) -> Draw:
        """The samples of one batch, in a new array, and the pass of each.

        Raises `IndexError` for a negative epoch or a step outside range(num_steps).
        """
        if epoch < 0:
            raise IndexError(f"epoch must be at least 0, got {epoch}")
        if not 0 <= step < self.num_steps:
            raise IndexError(f"step must be from 0 to {self.num_steps - 1}, got {step}")
        start, stop = self.positions(step)
        if self.drawing is not None:
            return _drawn(self.drawing, self.seed, epoch, start, stop)
        in_order = not self.shuffle and self.blocks is None
        indices = np.arange(start, stop, dtype=np.int64) if in_order else self._ordered(epoch, start, stop)
        return Draw.of_pass(indices, epoch)

    def positions(self, step: int) -> tuple[int, int]:
        """The positions of a batch in the order of its epoch: the first one, and the one after the last."""
        start = step * self.batch_size
        return start, min(start + self.batch_size, self.num_draws)

    @property
    def order_seed(self) -> int | None:
        """The seed of the order; None for the order of the source, or of its files."""
        return self.seed if self.shuffle else None

    def _ordered(self, epoch: int, start: int, stop: int) -> Indices:
        """Positions start … stop - 1 of the epoch's order, from cached blocks."""
        first = start - start % BLOCK
        if stop <= first + BLOCK:  # most batches are in one block; a copy takes a third of the time of a concatenation
            return self._block(epoch, first)[start - first : stop - first].copy()
        firsts = range(first, stop, BLOCK)
        return np.concatenate([self._block(epoch, first)[max(start - first, 0) : stop - first] for first in firsts])

    def _block(self, epoch: int, first: int) -> Indices:
        return _block(self.blocks or self.num_samples, self.order_seed, epoch if self.shuffle else 0, first)


def _drawn(drawing: Drawing, seed: int, epoch: int, start: int, stop: int) -> Draw:
    """The draws at positions start … stop - 1, from cached blocks."""
    firsts = range(start - start % BLOCK, stop, BLOCK)
    parts = [_drawn_block(drawing, seed, epoch, first)[max(start - first, 0) : stop - first] for first in firsts]
    indices = np.concatenate([part.indices for part in parts])
    return Draw(indices, parts[0].passes if len(parts) == 1 else np.concatenate([part.passes for part in parts]))


# The caches are not part of a plan, so plans stay equal, picklable and frozen. Two threads may compute the same block
# twice, which does no harm.
@lru_cache(maxsize=KEPT_BLOCKS)
def _block(samples: BlockTable | int, seed: int | None, epoch: int, first: int) -> Indices:
    """The samples at positions first … first + BLOCK - 1 of one epoch's order, fewer at the end."""
    if isinstance(samples, BlockTable):
        positions = np.arange(first, min(first + BLOCK, samples.num_samples), dtype=np.int64)
        return samples.order(seed, epoch)(positions)
    positions = np.arange(first, min(first + BLOCK, samples), dtype=np.int64)
    return _order(samples, seed or 0, epoch)(positions)


@lru_cache(maxsize=KEPT_BLOCKS)
def _order(num_samples: int, seed: int, epoch: int) -> Permutation:
    return Permutation.seeded(num_samples, derive(seed, Purpose.ORDER, epoch))


@lru_cache(maxsize=KEPT_BLOCKS)
def _drawn_block(drawing: Drawing, seed: int, epoch: int, first: int) -> Draw:
    return drawing.at(seed, epoch, first, min(first + BLOCK, drawing.num_draws))
