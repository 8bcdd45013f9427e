"""predictions.csv: the labels and predictions of each sample, and the names of its columns."""

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
from runner.records.mask_scores import MaskScores

PREDICTIONS_CSV = "predictions.csv"
FOLD_CSV = "fold_predictions.csv"
"""The same table of the fold that validated, where predictions.csv has the test split."""

BLOCK = 4096
"""The number of samples converted to rows per step."""

_FILE = ("predicted", "height", "width")
"""The columns of a `mask` head that say where its file is, and how large."""

THRESHOLD = 0.5
"""A `binary` or `multi_label` head predicts a class above this probability, not at it, as Keras's `binary_accuracy`."""


def prediction_columns(heads: Sequence[Head], *, labelled: bool) -> list[str]:
    """The header: ``id``, then per head ``label`` (if `labelled`), ``predicted`` and one column per class.

    A head of mode `multi_label` has ``predicted_cat``, 0 or 1, for each class, before the columns of the classes. A
    `raw` head of several numbers has ``label_x`` and ``predicted_x`` for each, an `input` head only
    ``mean_squared_error``. Columns of a named head start with its name, as in ``bi_predicted``. A class whose column
    would have the name of another column gets the prefix ``p_``, so that names are unique.

    A `mask` head has the file of the predicted mask, the size of that file, and the pixels predicted as each class,
    ``predicted_cat``. If `labelled`, it has before these the mean IoU and the accuracy of the mask, and of each class
    the true pixels, ``label_cat``, and those predicted right, ``correct_cat``; ignored pixels are not counted. A head
    of arrays has ``mean_squared_error``, if `labelled`, and the file of the predicted array.
    """
    names = [_prefix(head) + name for head in heads for name in (*_true(head), *_predicted(head), *_classes(head))]
    counts = Counter(["id", *names])
    taken = set(counts)
    columns = ["id"]
    for head in heads:
        prefix = _prefix(head)
        columns += [prefix + name for name in (*(_true(head) if labelled else ()), *_predicted(head))]
        for name in _classes(head):
            is_unique = counts[prefix + name] == 1
            columns.append(prefix + name if is_unique else _free(prefix, name, taken))
    return columns


def _prefix(head: Head) -> str:
    return f"{head.name}_" if head.name else ""


def _true(head: Head) -> tuple[str, ...]:
    if head.mode == "mask":
        counts = (f"{what}_{name}" for what in ("label", "correct") for name in head.class_names)
        return ("mean_iou", "pixel_accuracy", *counts)
    if head.shape:
        return ("mean_squared_error",)
    return () if head.mode == "input" else tuple(f"label_{value}" for value in head.value_names) or ("label",)


def _predicted(head: Head) -> tuple[str, ...]:
    if head.mode == "input":
        return ("mean_squared_error",)
    if head.mode == "mask":
        return (*_FILE, *(f"predicted_{name}" for name in head.class_names))
    return tuple(f"predicted_{value}" for value in head.value_names) or ("predicted",)


def _classes(head: Head) -> tuple[str, ...]:
    if head.mode == "multi_label":
        return (*(f"predicted_{name}" for name in head.class_names), *head.class_names)
    return () if head.mode in ("input", "mask") else head.class_names


def file_columns(heads: Sequence[Head]) -> set[str]:
    """The columns with the files of masks and their sizes."""
    return {f"{_prefix(head)}{name}" for head in heads if head.mode == "mask" for name in _FILE}


def _free(prefix: str, name: str, taken: set[str]) -> str:
    """A column name for the class that is not in `taken`, to which it is added."""
    while prefix + name in taken:
        name = f"p_{name}"
    taken.add(prefix + name)
    return prefix + name


def write_predictions(
    path: Path,
    ids: Sequence[str],
    *,
    heads: Sequence[Head],
    outputs: Sequence[Array],
    codes: Sequence[Array] | None = None,
) -> None:
    """Write one row per sample, in the order of `ids`, below the header of `prediction_columns`.

    `outputs` holds one array per head: probabilities, `(n, classes)`; for a `binary` head those of the second class,
    `(n,)` or `(n, 1)`; for a `raw` head its numbers, `(n,)` or `(n, values)`; for an `input` head each sample's mean
    squared error, `(n,)`. `codes` are the true labels, per head a column as in `Labels`; -1 is an unknown class.
    Without `codes` there is no label column. Numbers have the fewest digits that read back as the same float32
    (float64 for float64 outputs).

    Raises `RunnerError` if a shape does not fit, or the file exists or cannot be written.
    """
    header = prediction_columns(heads, labelled=codes is not None)
    arrays = [_checked(head, out, len(ids)) for head, out in zip(heads, outputs, strict=True)]
    write_table(path, chain([header], _rows(ids, heads, arrays, codes)))


def write_prediction_rows(
    path: Path, heads: Sequence[Head], rows: Iterable[Iterable[object]], *, labelled: bool
) -> None:
    """Write rows, each as soon as it is there, below the header of `prediction_columns`.

    Raises `RunnerError` if the file exists or cannot be written.
    """
    write_table(path, chain([prediction_columns(heads, labelled=labelled)], rows))


def prediction_cells(head: Head, output: Array, codes: Array | None) -> list[Iterable[object]]:
    """The columns of one head, not of masks, for some samples; arguments as in `write_predictions`."""
    return _cells(head, _checked(head, output, len(output)), codes)


def mask_cells(file: str, mask: Array, scores: MaskScores, *, labelled: bool) -> list[object]:
    """The cells of a `mask` head for one sample, whose mask, as large as `mask`, is in `file`."""
    truth = (scores.mean_iou, scores.pixel_accuracy, *scores.truth.tolist(), *scores.correct.tolist())
    return [*(truth if labelled else ()), file, *mask.shape, *scores.predicted.tolist()]


def _checked(head: Head, output: Array, num_samples: int) -> Array:
    """The output as `(n, columns)`, float32 or float64."""
    array = np.asarray(output)
    array = array[:, None] if array.ndim == 1 else array
    expected = (num_samples, _width(head))
    if array.shape != expected:
        raise RunnerError(
            f"predictions{f' of {head.name}' if head.name else ''} ({head.mode}) must have shape "
            f"{expected}, got {array.shape}; the model's output must match the classes of the data"
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
    """The columns of one head for one block of rows."""
    if head.mode == "input":
        return [array[:, 0]]
    if head.mode == "raw":
        return [*([] if codes is None else codes.reshape(len(codes), -1).T), *array.T]
    if head.mode == "multi_label":
        members = (array > THRESHOLD).astype(int)
        labels = [members] if codes is None else [codes, members]
        return [*(joined_names(head.class_names, rows) for rows in labels), *members.T, *array.T]
    names = np.array([*head.class_names, ""], object)
    true = [] if codes is None else [names[codes]]
    if head.mode == "binary":
        second = array[:, 0]
        return [*true, names[(second > THRESHOLD).astype(int)], 1 - second, second]
    return [*true, names[array.argmax(axis=1)], *array.T]
