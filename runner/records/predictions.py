"""predictions.csv: what the model says about each sample.

What the columns of predictions.csv are called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from runner.batch import Array
from runner.data.labels import Head, joined_names
from runner.errors import RunnerError
from runner.records.files import write_table


def prediction_columns(heads: Sequence[Head], *, labelled: bool) -> list[str]:
    """The header: ``id``, then per head ``label`` (if `labelled`), ``predicted`` and its classes.

    A head of mode `multi_label` has ``predicted_cat``, 0 or 1, for each class before the classes.
    One of several numbers (`raw`) has ``label_x`` and ``predicted_x`` for each value, one of mode
    `input` nothing but ``mean_squared_error``. Columns of a named head begin with its name,
    ``bi_predicted``. A class whose column would be called like another one gets ``p_`` before its
    name, so that no name stands twice.
    """
    every = [_prefix(head) + name for head in heads for name in (*_true(head), *_predicted(head), *_classes(head))]
    wanted = Counter(["id", *every])
    taken = set(wanted)
    columns = ["id"]
    for head in heads:
        prefix = _prefix(head)
        columns += [prefix + name for name in (*(_true(head) if labelled else ()), *_predicted(head))]
        for name in _classes(head):
            alone = wanted[prefix + name] == 1
            columns.append(prefix + name if alone else _free(prefix, name, taken))
    return columns


def _prefix(head: Head) -> str:
    return f"{head.name}_" if head.name else ""


def _true(head: Head) -> tuple[str, ...]:
    return () if head.mode == "input" else tuple(f"label_{value}" for value in head.value_names) or ("label",)


def _predicted(head: Head) -> tuple[str, ...]:
    if head.mode == "input":
        return ("mean_squared_error",)
    return tuple(f"predicted_{value}" for value in head.value_names) or ("predicted",)


def _classes(head: Head) -> tuple[str, ...]:
    if head.mode == "multi_label":
        return (*(f"predicted_{name}" for name in head.class_names), *head.class_names)
    return () if head.mode == "input" else head.class_names


def _free(prefix: str, name: str, taken: set[str]) -> str:
    """A column for the class that is not `taken`; takes it."""
    while prefix + name in taken:
        name = f"p_{name}"
    taken.add(prefix + name)
    return prefix + name


PREDICTIONS_CSV = "predictions.csv"
BLOCK = 4096
"""Samples turned into rows at a time."""

THRESHOLD = 0.5
"""A binary head says the second class above it, not at it, as Keras's `binary_accuracy` does; so does `multi_label`."""


def write_predictions(
    path: Path,
    ids: Sequence[str],
    *,
    heads: Sequence[Head],
    outputs: Sequence[Array],
    codes: Sequence[Array] | None = None,
) -> None:
    """Write one row per sample, in the order of `ids`; `prediction_columns` has the header.

    `outputs` holds one array per head: probabilities, `(n, classes)`; for a `binary` head those of
    the second class, `(n,)` or `(n, 1)`; for a `raw` head its numbers, `(n,)` or `(n, values)`; for
    an `input` head each sample's mean squared error, `(n,)`. `codes` are what is true, per head a
    column as `Labels` has them; -1 is a class that is not known. Without it there is no label
    column. Numbers have just the digits that read back as the same float32 (float64 if the
    outputs are).

    Raises `RunnerError` where shapes do not fit, or where the file exists or cannot be written.
    """
    header = prediction_columns(heads, labelled=codes is not None)
    arrays = [_checked(head, out, len(ids)) for head, out in zip(heads, outputs, strict=True)]
    write_table(path, chain([header], _rows(ids, heads, arrays, codes)))


def _checked(head: Head, output: Array, num_samples: int) -> Array:
    """The output as `(n, columns)`, float32 or float64."""
    array = np.asarray(output)
    array = array[:, None] if array.ndim == 1 else array
    expected = (num_samples, _width(head))
    if array.shape != expected:
        raise RunnerError(
            f"predictions{f' of {head.name}' if head.name else ''} ({head.mode}) must have shape "
            f"{expected}, got {array.shape}; the model's output must fit the classes of the data"
        )
    return array if array.dtype == np.float64 else array.astype(np.float32, copy=False)


def _width(head: Head) -> int:
    if head.mode == "raw":
        return max(1, len(head.value_names))
    return 1 if head.mode in ("binary", "input") else len(head.class_names)


def _rows(
    ids: Sequence[str],
    heads: Sequence[Head],
    arrays: Sequence[Array],
    codes: Sequence[Array] | None,
) -> Iterator[Iterable[object]]:
    for start in range(0, len(ids), BLOCK):
        rows = slice(start, start + BLOCK)
        cells: list[Iterable[object]] = [ids[rows]]
        for number, (head, array) in enumerate(zip(heads, arrays, strict=True)):
            cells += _cells(head, array[rows], None if codes is None else codes[number][rows])
        yield from zip(*cells, strict=True)


def _cells(head: Head, array: Array, codes: Array | None) -> list[Iterable[object]]:
    """The columns of one head, a block of rows long."""
    if head.mode == "input":
        return [array[:, 0]]
    if head.mode == "raw":
        return [*([] if codes is None else codes.reshape(len(codes), -1).T), *array.T]
    if head.mode == "multi_label":
        members = (array > THRESHOLD).astype(int)
        told = [members] if codes is None else [codes, members]
        return [*(joined_names(head.class_names, rows) for rows in told), *members.T, *array.T]
    names = np.array([*head.class_names, ""], object)
    labels = [] if codes is None else [names[codes]]
    if head.mode == "binary":
        second = array[:, 0]
        return [*labels, names[(second > THRESHOLD).astype(int)], 1 - second, second]
    return [*labels, names[array.argmax(axis=1)], *array.T]
