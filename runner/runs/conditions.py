"""What must hold for a run to be meant: `train.epochs>5`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.records.run_folder import Run, is_number

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """A key of a run beside one value, or with `=` and `!=` any of several."""

    key: str
    sign: str
    values: tuple[Any, ...]

    def holds(self, run: Run) -> bool:
        """Whether it does. Only numbers are in order with numbers, and text with text; what is missing is no value."""
        value = run.value(self.key)
        if self.sign in ("=", "!="):
            return any(_equal(value, wanted) for wanted in self.values) == (self.sign == "=")
        wanted = self.values[0]
        comparable = all(map(is_number, (value, wanted))) or all(isinstance(each, str) for each in (value, wanted))
        return comparable and ORDER[self.sign](value, wanted)


def _equal(value: Any, wanted: Any) -> bool:
    # True is no 1. A version such as 1.0, or a hash of digits alone, is text to the record and a number when typed.
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted) or (isinstance(value, str) and value == str(wanted))
