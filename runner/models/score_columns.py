"""Columns of metrics with several values: one for each class, as in `f1_score_cat`.

Keras leaves the values of such a metric in one array, which neither a table nor a callback takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from runner.data.labels import Head


def in_columns(logs: Mapping[str, Any] | None, heads: Sequence[Head]) -> dict[str, Any]:
    """The logs of Keras with one number per column, in their order; numbers stay as they are.

    `heads` are those of the model's outputs: they know the classes.

    >>> in_columns({"loss": 0.5, "f1": np.array([1.0, 0.5])}, [Head("", "sparse", ("cat", "dog"))])
    {'loss': 0.5, 'f1_cat': 1.0, 'f1_dog': 0.5}
    """
    return {column: value for name, item in (logs or {}).items() for column, value in _columns(name, item, heads)}


def _columns(name: str, value: Any, heads: Sequence[Head]) -> Iterator[tuple[str, Any]]:
    if np.ndim(value) != 1:
        yield name, value
        return
    names = _names(name, heads)
    for number, one in enumerate(np.asarray(value).tolist()):
        yield f"{name}_{names[number] if number < len(names) else number}", one


def _names(metric: str, heads: Sequence[Head]) -> tuple[str, ...]:
    """The names of the values of a metric: those of the classes, or of the numbers, of the head whose metric it is."""
    bare = metric.removeprefix("val_")
    # Of several outputs, Keras puts the name of one before those of its metrics: the longest that fits.
    mine = [head for head in heads if len(heads) == 1 or bare.startswith(f"{head.name}_")]
    head = max(mine, key=lambda one: len(one.name), default=None)
    return () if head is None else head.class_names or head.value_names
