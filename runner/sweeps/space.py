"""What a search may choose from: a range of numbers, or listed values, for each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Number = int | float


@dataclass(frozen=True)
class Interval:
    """Every number from `low` to `high`, both included: whole ones where both are; `log`: all magnitudes alike."""

    low: Number
    high: Number
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[str, str]:
        """The smallest and the largest value, as typed."""
        return repr(self.low), repr(self.high)


@dataclass(frozen=True)
class Listed:
    """One of these values, as typed; `ordered`: those of a range, where neighbours are alike."""

    values: tuple[str, ...]
    ordered: bool = False

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last value."""
        return self.values[0], self.values[-1]


Space = Mapping[str, Interval | Listed]
"""What each key may be, in the order typed."""

Values = dict[str, str]
"""A value for each key, as a person would type it."""
