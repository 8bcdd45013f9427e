"""What the columns of predictions.csv are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from runner.data.labels import Head


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
