"""What samples are called, and how a class mode turns that into the `y` of a batch.

The classes of data whose labels are text, and the code of each label.

The heads of a model in run.json: what it tells apart, and in which order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from runner.batch import Array, Indices, Targets
from runner.errors import DataError

ClassMode = Literal["categorical", "sparse", "binary", "input"]
HeadMode = Literal["categorical", "sparse", "binary", "multi_label", "raw", "input"]


@dataclass(frozen=True, slots=True)
class Head:
    """One thing to predict: an output of the model and a target of the batch.

    A model with a single head leaves `name` empty; `class_names` is empty where the target is no class, and
    `value_names` unless it is several numbers a sample.
    """

    name: str
    mode: HeadMode
    class_names: tuple[str, ...] = ()
    value_names: tuple[str, ...] = ()

    def encode(self, codes: Array) -> Array:
        """The target array of samples with these labels, as Keras's `flow_from_*` has it.

        `categorical`: one-hot, float32, shape `(n, classes)`; `sparse` and `binary`: float32, shape `(n,)`;
        `multi_label` and `raw`: the labels themselves, float32.
        """
        if self.mode == "categorical":
            one_hot = np.zeros((len(codes), len(self.class_names)), np.float32)
            one_hot[np.arange(len(codes)), codes] = 1
            return one_hot
        return codes.astype(np.float32)


@dataclass(frozen=True)
class Labels:
    """The labels of all samples, a column a head, and what each sample counts in the loss.

    A column holds one class code a sample, shape `(num_samples,)`, int64. For a head of mode `multi_label`: 1 for each
    class the sample has, else 0, shape `(num_samples, classes)`, uint8. Of mode `raw`: numbers, shape
    `(num_samples,)` or `(num_samples, values)`, float32. Of mode `input` (the target is the sample itself): nothing.
    `weights` has shape `(num_samples,)`, float32; None where all samples count the same.
    """

    heads: tuple[Head, ...]
    columns: tuple[Array, ...]
    weights: Array | None = None

    def take(self, indices: Indices) -> Labels:
        """The labels of a selection of samples."""
        columns = tuple(c[indices] if len(c) else c for c in self.columns)
        return Labels(self.heads, columns, None if self.weights is None else self.weights[indices])

    def encode(self, indices: Indices, x: Array) -> Targets:
        """`y` of the samples at `indices`, whose arrays are `x`: one array, or one per named head, or None."""
        encoded = {
            head.name: x.copy() if head.mode == "input" else head.encode(column[indices])
            for head, column in zip(self.heads, self.columns, strict=True)
        }
        return encoded[""] if list(encoded) == [""] else encoded or None

    def texts(self, head: int = 0) -> Sequence[str]:
        """The class names of all samples under one head, joined by | where a sample has several.

        Empty where the head has no classes.
        """
        names, column = self.heads[head].class_names, self.columns[head]
        if not names:
            return []
        return joined_names(names, column) if column.ndim == 2 else [names[code] for code in column]


NO_LABELS = Labels((), ())


def joined_names(names: Sequence[str], members: Array) -> list[str]:
    """Per row of `members`, 0 or 1 for each class, the names of its classes: `cat|dog`."""
    return ["|".join(names[code] for code in np.flatnonzero(row).tolist()) for row in members]


def class_head(mode: ClassMode | None, class_names: Sequence[str]) -> tuple[Head, ...]:
    """The heads of data whose samples belong to one class each.

    Raises `DataError` where the number of classes does not fit the mode.
    """
    if mode is None:
        return ()
    if mode == "input":
        return (Head("", "input"),)
    if mode == "binary" and len(class_names) != 2:
        raise DataError(
            f"data.class_mode=binary needs 2 classes, got {len(class_names)} ({_some(class_names)}); "
            "choose data.class_mode=categorical or sparse"
        )
    if len(class_names) < 2:
        raise DataError(
            f"data.class_mode={mode} needs at least 2 classes, got {len(class_names)} ({_some(class_names)}); "
            "use data.class_mode=null for data without classes"
        )
    return (Head("", mode, tuple(class_names)),)


def encode_classes(values: Array) -> tuple[tuple[str, ...], Indices]:
    """Class names in the order of their codes, and the code of each value, shape `(n,)`, int64.

    Classes stand in the order of their values: numbers by size, text by alphabet.
    """
    classes, codes = np.unique(values, return_inverse=True)
    return tuple(str(value) for value in classes), codes.astype(np.int64)


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most]) or "none"
    return f"{shown}, …" if len(names) > most else shown


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


def heads_document(heads: Iterable[Head]) -> list[dict[str, Any]]:
    """The heads as plain values."""
    return [asdict(head) for head in heads]


def read_heads(documents: Iterable[Mapping[str, Any]]) -> tuple[Head, ...]:
    """The heads as they were: JSON has lists where they have tuples."""
    return tuple(Head(**{name: _tuple(value) for name, value in document.items()}) for document in documents)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
