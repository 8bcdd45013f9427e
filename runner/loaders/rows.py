"""What came of reading samples: their arrays, row by row, and those that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from runner.batch import Array, Indices
from runner.loaders.timing import Work

LEFT_OUT = -1
"""The index of a row that holds no sample, because the one that belongs there cannot be read."""


@dataclass(frozen=True, slots=True)
class BadSample:
    """A sample that cannot be read; `name` is its path, or its id where there is no file."""

    index: int
    name: str
    reason: str


class Filled(NamedTuple):
    """Rows as they were filled: the sample in each, `LEFT_OUT` where there is none, and what it took."""

    indices: Indices
    work: Work
    bad: tuple[BadSample, ...] = ()


class Rows(NamedTuple):
    """The samples at `indices`, whose arrays are the rows of `x`; and those that were found bad on the way."""

    indices: Indices
    x: Array
    bad: tuple[BadSample, ...] = ()


def gather(x: Array, pieces: Sequence[Filled]) -> Rows:
    """The rows of `x`, filled in `pieces`, that hold samples."""
    indices = np.concatenate([piece.indices for piece in pieces])
    bad = tuple(chain.from_iterable(piece.bad for piece in pieces))
    there = indices != LEFT_OUT
    return Rows(indices, x, bad) if there.all() else Rows(indices[there], x[there], bad)
