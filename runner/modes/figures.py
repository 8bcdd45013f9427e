"""The pictures of a run: samples of each class, the worst predictions and the wait; and the class counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from runner.batch import Array
from runner.data.dataset import Dataset
from runner.data.labels import Head
from runner.data.source import Source
from runner.records.pictures import write_class_counts, write_pictures, write_timeline
from runner.records.trace import Lane, write_trace
from runner.reports.page import MOST_PREDICTIONS_BYTES
from runner.reports.scores import predictions_bytes, score_predictions
from runner.reports.timeline_picture import draw_timeline


def class_counts(dataset: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """The number of samples by head, class and split; a head without a name is `label`."""
    columns = {split: source.labels.columns for split, source in dataset.splits.items()}
    return {
        head.name or "label": _counts(head, {split: parts[number] for split, parts in columns.items()})
        for number, head in enumerate(dataset.heads)
        if head.classifies
    }


def _counts(head: Head, columns: Mapping[str, Array]) -> dict[str, dict[str, int]]:
    counted = {split: _count(column, len(head.class_names)) for split, column in columns.items()}
    return {
        name: {split: int(counts[code]) for split, counts in counted.items()}
        for code, name in enumerate(head.class_names)
    }


def _count(column: Array, num_classes: int) -> Array:
    """The number of samples in each class, shape `(num_classes,)`.

    `column` holds class codes, shape `(n,)`; with several classes per sample, 0 or 1, shape `(n, num_classes)`.
    """
    if column.ndim == 2:
        counts: Array = np.count_nonzero(column, axis=0)
        return counts
    return np.bincount(column[column >= 0], minlength=num_classes)


EXAMPLE_CLASSES = 12
EXAMPLES = 4
"""Pictured samples of each class; data without classes has as many as six classes."""


def picture_data(folder: Path, dataset: Dataset) -> None:
    """Write the class counts, and pictures of some samples of the first split; nothing for ready-made batches."""
    if dataset.batches is not None:
        return  # the samples are not known before training
    write_class_counts(folder, class_counts(dataset))
    split, source = next(iter(dataset.splits.items()))
    write_pictures(folder, "examples", split, source, _examples(source))


def picture_worst(folder: Path, split: str, source: Source, heads: tuple[Head, ...]) -> None:
    """Write pictures of the worst predictions in predictions.csv, whose rows are the samples of `source`."""
    if predictions_bytes(folder) <= MOST_PREDICTIONS_BYTES:
        scorers = score_predictions(folder, heads)
        worst = dict.fromkeys(sample.row for scorer in scorers for sample in scorer.worst.samples())
        write_pictures(folder, "worst", split, source, [(row, "") for row in worst])


def picture_wait(folder: Path, lanes: Sequence[Lane]) -> None:
    """Write trace.json, and the timeline as figures/timeline.png; nothing without a step."""
    if lanes:
        write_trace(folder, lanes)
        write_timeline(folder, draw_timeline(lanes))


def _examples(source: Source) -> Iterator[tuple[int, str]]:
    """The indices of the pictured samples, with their classes."""
    columns = zip(source.labels.heads, source.labels.columns, strict=True)
    head, column = next(((head, column) for head, column in columns if head.classifies), (None, None))
    if head is None or column is None:
        yield from ((index, "") for index in range(min(len(source), 6 * EXAMPLES)))
        return
    for code, name in enumerate(head.class_names[:EXAMPLE_CLASSES]):
        members = column[:, code] == 1 if column.ndim == 2 else column == code
        yield from ((int(index), name) for index in np.flatnonzero(members)[:EXAMPLES])
