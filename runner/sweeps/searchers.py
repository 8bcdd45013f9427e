"""The role of what decides which configuration a search tries next."""

from __future__ import annotations

from typing import Protocol

from runner.sweeps.space import Values


class Proposer(Protocol):
    """Proposes one trial after the other, and may learn from what they came to."""

    def propose(self, number: int) -> Values:
        """The values of trial `number`: the same ones when asked again."""

    def report(self, number: int, epoch: int, value: float) -> None:
        """What a trial came to by the end of an epoch, counted from 1; what was reported before stays as it is."""

    def gives_up(self, number: int) -> bool:
        """Whether a trial promises too little, by what was reported of it and of others, to be worth its time."""

    def tell(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """A trial came to a value, failed (None) or was `pruned` (None); of what was told before nothing changes."""

    def close(self) -> None:
        """Leave nothing open."""
