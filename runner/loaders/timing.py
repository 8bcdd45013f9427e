"""What it took to prepare samples, as whoever prepared them measured it."""

from __future__ import annotations

from typing import NamedTuple

STAGES = ("read", "decode", "change", "assemble")
"""What is done to samples: their bytes read (or taken from a cache), decoded, changed, put together to a batch."""

TRANSFER = "transfer"
"""What is done to a batch beside these where the feed itself brings it to the device; told only there."""


class Work(NamedTuple):
    """What one thread did to some samples from `begin` to `end`, and how much of it was what; all in nanoseconds.

    The clock is one for all processes of a machine; `thread` is the system's number, which no two of them share.
    """

    thread: int
    begin: int
    end: int
    num_samples: int
    read: int = 0
    decode: int = 0
    change: int = 0
    assemble: int = 0
    transfer: int = 0

    def by_stage(self) -> dict[str, int]:
        """The nanoseconds of every stage."""
        stages = {"read": self.read, "decode": self.decode, "change": self.change, "assemble": self.assemble}
        return {**stages, TRANSFER: self.transfer} if self.transfer else stages
