"""How many samples each class has in each split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runner.batch import Array
from runner.data.dataset import Dataset
from runner.data.labels import Head


def class_counts(dataset: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """Per head with classes, per class, the samples in each split; a head without a name is called `label`."""
    columns = {split: source.labels.columns for split, source in dataset.splits.items()}
    return {
        head.name or "label": _counts(head, {split: parts[number] for split, parts in columns.items()})
        for number, head in enumerate(dataset.heads)
        if head.class_names
    }


def _counts(head: Head, columns: Mapping[str, Array]) -> dict[str, dict[str, int]]:
    counted = {split: _count(column, len(head.class_names)) for split, column in columns.items()}
    return {
        name: {split: int(counts[code]) for split, counts in counted.items()}
        for code, name in enumerate(head.class_names)
    }


def _count(column: Array, num_classes: int) -> Array:
    """Samples of each class, shape `(num_classes,)`; `column` has a column for each where a sample may have several."""
    if column.ndim == 2:
        counts: Array = np.count_nonzero(column, axis=0)
        return counts
    return np.bincount(column[column >= 0], minlength=num_classes)
