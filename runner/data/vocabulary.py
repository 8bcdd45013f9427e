"""The classes of data whose labels are text, and the code of each label."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from runner.batch import Indices

Known = Mapping[str, tuple[str, ...]]
"""Class names that are not to be learned from the data, by the name of their head: those of a model."""


def vocabulary(names: Iterable[str]) -> tuple[str, ...]:
    """Every name once: by size if all of them are numbers, else by alphabet.

    >>> vocabulary(["10", "9", "9"]), vocabulary(["10", "9", "b"])
    (('9', '10'), ('10', '9', 'b'))
    """
    unique = set(names)
    numbers = {name: _number(name) for name in unique}
    if None in numbers.values():
        return tuple(sorted(unique))
    return tuple(sorted(unique, key=lambda name: (numbers[name], name)))


def _number(name: str) -> float | None:
    try:
        number = float(name)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def codes_of(names: Sequence[str], known: Mapping[str, int]) -> Indices:
    """The code of each name, shape `(n,)`, int64; -1 where it is not known."""
    return np.fromiter((known.get(name, -1) for name in names), np.int64, len(names))
