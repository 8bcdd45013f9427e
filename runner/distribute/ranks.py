"""Ranks: processes that train one model together, and the rows of a batch that each of them reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rank:
    """One process of a group of `world`. Rank 0 leads: it decides how a run ends, and writes its files."""

    number: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.number == 0

    def steps(self, num_steps: int) -> range:
        """The batches that this rank predicts alone, of `num_steps`: each has about as many, in their order.

        >>> [Rank(number, world=3).steps(8) for number in range(3)]
        [range(0, 2), range(2, 5), range(5, 8)]
        """
        return range(num_steps * self.number // self.world, num_steps * (self.number + 1) // self.world)

    def share(self, num_devices: int) -> Share | None:
        """What this rank reads of each batch, for as many devices of all ranks together; None for a single process."""
        return None if self.world == 1 else Share(self, num_devices)


ALONE = Rank()
"""A process that trains without others."""


@dataclass(frozen=True)
class Share:
    """The rows of each batch that one rank reads: as many as every other, or all if the batch cannot be divided.

    >>> Share(Rank(1, world=2), num_devices=2).rows(6), Share(Rank(1, world=2), num_devices=2).rows(5)
    (slice(3, 6, None), slice(0, 5, None))
    """

    rank: Rank
    num_devices: int

    def divides(self, num_rows: int) -> bool:
        """Whether each device has rows of its own in a batch of `num_rows`."""
        return num_rows % self.num_devices == 0

    def rows(self, num_rows: int) -> slice:
        """The rows of a batch of `num_rows`."""
        if not self.divides(num_rows):
            return slice(0, num_rows)
        number, world = self.rank.number, self.rank.world
        return slice(num_rows * number // world, num_rows * (number + 1) // world)

    def of(self, draw: Any) -> Any:
        """The part of this rank in a draw, or in anything else that has rows."""
        return draw[self.rows(len(draw))]
