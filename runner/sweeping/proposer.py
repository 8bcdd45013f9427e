"""The role of what decides which configuration a search tries next."""

from __future__ import annotations

from typing import Protocol

from runner.sweeping.space import Values


class Proposer(Protocol):
    """Proposes one trial after the other, and may learn from what they came to."""

    def propose(self, number: int) -> Values:
        """The values of trial `number`: the same ones when asked again."""

    def tell(self, number: int, value: float | None) -> None:
        """A trial came to a value of the objective, or failed (None); of what was told before nothing changes."""

    def close(self) -> None:
        """Leave nothing open."""
