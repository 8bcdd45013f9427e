"""Notes on the classes of data: those without training samples, and those that may not be what they seem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runner.batch import Array
from runner.data.cells import SEVERAL, class_list, is_number, number_text
from runner.data.dataset import Dataset
from runner.data.file_names import composed
from runner.data.labels import MANY, Head, Labels
from runner.messages import first_few, plural


def with_class_notes(dataset: Dataset, *, limited: bool) -> Dataset:
    """The dataset with notes on its classes."""
    train = dataset.splits["train"]
    return replace(dataset, notes=(*dataset.notes, *class_notes(train.labels, len(train), limited=limited)))


def class_notes(labels: Labels, num_samples: int, *, limited: bool) -> Iterator[str]:
    """Notes on the classes of the training samples; with `limited` only on their names, as samples are left out."""
    for head, column in zip(labels.heads, labels.columns, strict=True):
        if not head.classifies:
            continue
        where = f" of {head.name}" if head.name else ""
        yield from _alike(head, where)
        if head.mode != "multi_label":
            yield from _joined(head, where)
        if not limited:
            yield from _empty(head, column, where)
            yield from _rare(head, num_samples, where)


def _empty(head: Head, column: Array, where: str) -> Iterator[str]:
    counts = (
        column.sum(axis=0) if column.ndim == 2 else np.bincount(column[column >= 0], minlength=len(head.class_names))
    )
    empty = [name for name, count in zip(head.class_names, counts.tolist(), strict=True) if not count]
    if empty:
        number = plural(len(head.class_names), "class", "classes")
        only = len(head.class_names) - len(empty) == 1 and column.ndim == 1
        learns = "; all are of one class, so the model can learn nothing" if only else ""
        yield f"no training samples of {len(empty):,} of {number}{where}: {first_few(empty)}{learns}"


def _alike(head: Head, where: str) -> Iterator[str]:
    """Classes whose names differ only in case, spaces, Unicode form, or how a number is written."""
    same: dict[str, list[str]] = {}
    for name in head.class_names:
        same.setdefault(number_text(composed(name).strip().casefold()), []).append(name)
    groups = [" and ".join(map(repr, names)) for names in same.values() if len(names) > 1]
    if groups:
        yield f"classes{where} that differ only in spelling are different classes: {first_few(groups)}"


def _joined(head: Head, where: str) -> Iterator[str]:
    names = [name for name in head.class_names if SEVERAL.search(name) and len(class_list(name)) > 1]
    if names:
        text = "data.class_mode=multi_label of data=dataframe and custom reads several classes per sample"
        yield f"classes{where} look like several each: {first_few(map(repr, names))}; {text}"


def _rare(head: Head, num_samples: int, where: str) -> Iterator[str]:
    number = len(head.class_names)
    if head.mode == "multi_label" or number < MANY or 2 * number <= num_samples:
        return
    fix = "; data.class_mode=raw predicts numbers" if all(map(is_number, head.class_names)) else ""
    yield f"{plural(number, 'class', 'classes')}{where} for {plural(num_samples, 'training sample')}{fix}"
