"""Axes of charts: where a value lies, and the ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Literal

MOST = 1e300
"""Values beyond this cannot be drawn: the length of their axis would be infinite."""

NUM_TICKS = 5
MIN_TICK_GAP = 0.12
"""The least distance, as a share of the axis, between values that each have a tick."""


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`; `ticks`: values and their texts; `label`: what the axis shows, or nothing."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    label: str = ""
    scale: Literal["linear", "log"] = "linear"

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high one."""
        if self.scale == "log":
            return (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        return (value - self.low) / (self.high - self.low)


def can_draw(value: float | None) -> bool:
    """Whether a value has a place on an axis."""
    return value is not None and isfinite(value) and abs(value) < MOST


def value_axis(values: Sequence[float], label: str = "") -> Axis:
    """A linear axis that begins and ends at a round number; from 0 to 1 without values."""
    low, high = _ends(values)
    step = _step(high - low, NUM_TICKS)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return Axis(first * step, last * step, _ticks(first, last, step), label)


def whole_axis(values: Sequence[float], label: str = "") -> Axis:
    """A linear axis from the smallest to the largest value, with ticks at whole numbers."""
    low, high = _ends(values)
    step = max(1, round(_step(high - low, NUM_TICKS + 2)))
    return Axis(low, high, _ticks(ceil(low / step), floor(high / step), step), label)


def log_axis(values: Sequence[float], label: str = "") -> Axis:
    """A logarithmic axis around values above 0, with ticks at powers of ten, in few decades also at 2 and 5."""
    low, high = min(values), max(values)
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    digits = (1,) if len(decades) > 3 else (1, 2, 5)
    step = max(1, len(decades) // 7)
    known = [float(f"{digit}e{decade}") for decade in decades[::step] for digit in digits]
    inside = [tick for tick in known if low * 0.999 <= tick <= high * 1.001]
    margin = (high / low) ** 0.05 if high > low else 2.0
    return Axis(low / margin, high * margin, [(tick, f"{tick:g}") for tick in inside], label, "log")


def setting_axis(values: Sequence[float], *, logarithmic: bool) -> Axis:
    """An axis for the values of a setting, with a tick at each if there is room for the numbers."""
    distinct = sorted(set(values))
    if logarithmic:
        axis = log_axis(distinct)
    else:
        low, high = _ends(distinct)
        margin = 0.08 * (high - low)
        inside = value_axis(distinct).ticks
        axis = Axis(low - margin, high + margin, [tick for tick in inside if low <= tick[0] <= high])
    gaps = [axis.place(after) - axis.place(before) for before, after in pairwise(distinct)]
    if gaps and min(gaps) < MIN_TICK_GAP:
        return axis
    return Axis(axis.low, axis.high, [(value, f"{value:g}") for value in distinct], scale=axis.scale)


def names_axis(names: Sequence[str]) -> Axis:
    """An axis with a tick for each name, at 0, 1, …"""
    return Axis(-0.5, len(names) - 0.5, list(enumerate(names)))


def spans(values: Sequence[float], decades: int) -> bool:
    """Whether values are above 0, and the largest at least that many powers of ten above the smallest."""
    return min(values) > 0 and max(values) >= 10**decades * min(values)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest value; apart from each other where all are equal."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return low, high
    apart = 0.05 * abs(low) or 0.5
    return low - apart, high + apart


def _step(length: float, most: int) -> float:
    """The distance between ticks: 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** floor(log10(length / most))
    error = length / most / power
    return power * (10 if error >= 7.07 else 5 if error >= 3.16 else 2 if error >= 1.41 else 1)


def _ticks(first: int, last: int, step: float) -> list[tuple[float, str]]:
    decimals = max(0, -floor(log10(step) + 1e-9))
    values = [number * step for number in range(first, last + 1)]
    size = max(map(abs, values), default=0)
    extreme = decimals > 4 or size >= 1e7
    digits = max(4, ceil(log10(size / step)) + 1) if size else 4  # fewer would give two ticks one text
    return [(value, f"{value:.{digits}g}" if extreme else f"{value:,.{decimals}f}") for value in values]
