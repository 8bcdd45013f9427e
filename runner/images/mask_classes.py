"""The classes of masks: which stored values are which class, and the codes that batches hold in their place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from runner.batch import Array
from runner.messages import first_few, plural

Color = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

IGNORED = 255
"""The code of ignored pixels where codes are uint8."""
IGNORED_WIDE = 65_535
"""The same where codes are uint16, with more classes."""
UNLISTED = 254
"""Stands for a value without a class while uint8 values are looked up."""


@dataclass(frozen=True)
class MaskClasses:
    """The class of each stored value: a number, or a colour; several values may be one class.

    Classes have codes 0, 1, … in the order of `names`. Pixels of `ignore_value` have the code `ignored`.
    """

    by_value: tuple[tuple[int | Color, str], ...]
    ignore_value: int | Color | None = None
    order: tuple[str, ...] = ()
    """The order of the classes, for a model that has one; empty: that of the values."""

    @property
    def names(self) -> tuple[str, ...]:
        """The class names by code: in the order of first mention."""
        return self.order or tuple(dict.fromkeys(name for _, name in self.by_value))

    @property
    def are_colors(self) -> bool:
        """Whether stored values are colours."""
        return any(isinstance(value, tuple) for value, _ in self.by_value)

    @property
    def stored(self) -> tuple[int | Color, ...]:
        """The first stored value of each class."""
        first: dict[str, int | Color] = {}
        for value, name in self.by_value:
            first.setdefault(name, value)
        return tuple(first[name] for name in self.names if name in first)

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """The dtype of codes."""
        return np.dtype(np.uint8) if len(self.names) <= IGNORED else np.dtype(np.uint16)

    @property
    def ignored(self) -> int | None:
        """The code of ignored pixels; None if all pixels count."""
        if self.ignore_value is None:
            return None
        return IGNORED if self.dtype == np.uint8 else IGNORED_WIDE

    def has_all(self, values: Array) -> bool:
        """Whether values, uint8, are quickly seen to have classes, as all from 0 to a number have; False if not."""
        return values.dtype == np.uint8 and int(values.max()) < self._quick_values

    def look_up(self, values: Array) -> None:
        """Replace values, of which `has_all` is true, by their codes."""
        if not self._values_are_codes:
            values[...] = cv2.LUT(values, self._table)

    def codes(self, values: Array) -> Array:
        """The codes of stored values, shape `(height, width)`; of colours, shape `(height, width, 3)`.

        Raises `ValueError` with the values that have no class, and the number of their pixels.
        """
        if values.dtype == np.uint8 and not self.are_colors and len(self.names) < UNLISTED:
            codes: Array = cv2.LUT(values, self._table)
            if (codes == UNLISTED).any():
                raise ValueError(self._unlisted(values, codes != UNLISTED))
            return codes
        packed = self._as_numbers(values)
        places = np.searchsorted(self._sorted[0], packed).clip(max=len(self._sorted[0]) - 1)
        known = self._sorted[0][places] == packed
        if not known.all():
            raise ValueError(self._unlisted(values, known))
        found: Array = self._sorted[1][places]
        return found

    @cached_property
    def _pairs(self) -> list[tuple[int | Color, int]]:
        """Every stored value with its code."""
        codes = {name: code for code, name in enumerate(self.names)}
        pairs: list[tuple[int | Color, int]] = [(value, codes[name]) for value, name in self.by_value]
        if self.ignore_value is not None and self.ignored is not None:
            pairs.append((self.ignore_value, self.ignored))
        return pairs

    @cached_property
    def _quick_values(self) -> int:
        """The least number from 0 on that has no class, and is not ignored; 0 where values cannot be looked up."""
        if self.are_colors or self.dtype != np.uint8:
            return 0
        listed = {value for value, _ in self._pairs}
        return next(value for value in range(len(listed) + 1) if value not in listed)

    @cached_property
    def _values_are_codes(self) -> bool:
        """Whether each value that `has_all` accepts is its own code."""
        first = self._table[: self._quick_values]
        return np.array_equal(first, np.arange(len(first)))

    @cached_property
    def _table(self) -> Array:
        """The code of each of the 256 values of a byte."""
        table = np.full(256, UNLISTED, np.uint8)
        for value, code in self._pairs:
            if isinstance(value, int) and 0 <= value < len(table):
                table[value] = code
        return table

    @cached_property
    def _sorted(self) -> tuple[Array, Array]:
        """Stored values as numbers, ascending, and their codes."""
        values = self._as_numbers(np.array([value for value, _ in self._pairs]))
        order = np.argsort(values)
        return values[order], np.array([code for _, code in self._pairs], self.dtype)[order]

    def _as_numbers(self, values: Array) -> Array:
        """Stored values as int64; of colours, one number each."""
        whole = values.astype(np.int64)
        return whole @ (65_536, 256, 1) if self.are_colors else whole

    def _unlisted(self, values: Array, known: Array) -> str:
        found, counts = np.unique(values[~known], axis=0, return_counts=True)
        pairs = zip(found.tolist(), counts.tolist(), strict=True)
        listed = (f"{value_text(value)} ({plural(count, 'pixel')})" for value, count in pairs)
        key = "mask_colors" if self.are_colors else "mask_values"
        return f"holds values that data.{key} does not list: {first_few(listed)}; list them, or set data.ignore_value"

    def __getstate__(self) -> dict[str, object]:
        # Tables are made again in worker processes.
        return {"by_value": self.by_value, "ignore_value": self.ignore_value, "order": self.order}


def value_text(value: int | list[int] | Color) -> str:
    """A stored value as YAML writes it."""
    return str(value) if isinstance(value, int) else f"[{', '.join(map(str, value))}]"
