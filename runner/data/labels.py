"""Labels of samples, the heads that they are for, and how a class mode turns labels into the `y` of a batch.

Also class names and their codes, and heads as run.json stores them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from runner.batch import Array, Indices, Targets
from runner.data.cells import number_in, with_decimal_point
from runner.errors import DataError
from runner.fields import Values
from runner.messages import first_few, plural

ClassMode = Literal["categorical", "sparse", "binary", "input"]
MANY = 10
"""Classes from which on it matters that hardly any sample shares its class."""

NumberMode = Literal["raw"]
"""The mode of targets that are numbers; `y` is float32."""

MaskMode = Literal["mask"]
"""The mode of a class for each pixel; `y` holds class codes, uint8 or uint16, shape `(n, height, width)`."""

HeadMode = Literal["categorical", "sparse", "binary", "multi_label", "raw", "input", "mask"]


@dataclass(frozen=True, slots=True)
class Head:
    """One thing to predict: an output of the model and a target of the batch.

    `name` is empty if the model has a single head, `class_names` if the target is not a class, and `value_names` if
    the target is not several numbers per sample.
    """

    name: str
    mode: HeadMode
    class_names: tuple[str, ...] = ()
    value_names: tuple[str, ...] = ()
    field: str = ""
    """The array of a sample that is the target; empty: the target is a label."""
    stored: tuple[int | tuple[int, int, int], ...] = ()
    """What masks hold for each class on disk: a number, or red, green and blue."""
    ignored: int | None = None
    """The code of pixels that count neither in the loss nor in scores; None if there are none."""
    shape: tuple[int, ...] = ()
    """The shape of an array of numbers to predict for each sample; empty for other targets."""

    @property
    def classifies(self) -> bool:
        """Whether samples belong to classes; in a mask, pixels do."""
        return bool(self.class_names) and self.mode != "mask"

    @property
    def has_column(self) -> bool:
        """Whether labels of this head are stored: not if the target is the sample itself, or one of its arrays."""
        return self.mode != "input" and not self.field

    def weigh(self, weights: Array) -> Array:
        """The samples' `weights`, shape `(n,)`, with an axis of one for each further axis of the loss.

        Keras would silently take weights of shape (n,) for those of an image's columns, where there are n columns.
        """
        axes = 2 if self.mode == "mask" else max(0, len(self.shape) - 1)
        return weights.reshape(-1, *(1,) * axes)

    def encode(self, codes: Array) -> Array:
        """Targets of samples with these labels, in the form of Keras's `flow_from_*`.

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
    """Labels of all samples, one column per head, and the samples' weights in the loss.

    The mode of a head decides what its column holds:
    `multi_label`: 1 for each class of the sample, else 0, shape `(num_samples, classes)`, uint8;
    `raw`: numbers, shape `(num_samples,)` or `(num_samples, values)`, float32;
    `input` (the target is the sample itself), and heads with a `field` (an array of the sample): nothing, shape `(0,)`;
    all others: one class code per sample, shape `(num_samples,)`, int64.
    `weights` has shape `(num_samples,)`, float32; None if all samples weigh the same.
    """

    heads: tuple[Head, ...]
    columns: tuple[Array, ...]
    weights: Array | None = None

    def take(self, indices: Indices) -> Labels:
        """Labels of the samples at `indices`."""
        columns = tuple(column[indices] if len(column) else column for column in self.columns)
        return Labels(self.heads, columns, None if self.weights is None else self.weights[indices])

    def encode(self, indices: Indices, x: Values) -> Targets:
        """`y` of the samples at `indices`, whose arrays are `x`: one array, one array per named head, or None."""
        encoded = {
            head.name: _target(head, column, indices, x) for head, column in zip(self.heads, self.columns, strict=True)
        }
        return encoded[""] if list(encoded) == [""] else encoded or None

    def weights_of(self, indices: Indices) -> Targets:
        """Weights of the samples at `indices`: one array, of the rank of the loss, or one per head if ranks differ."""
        if self.weights is None:
            return None
        weights = self.weights[indices]
        if not self.fields:
            return weights
        by_head = {head.name: head.weigh(weights) for head in self.heads}
        return by_head[""] if list(by_head) == [""] else by_head

    @property
    def fields(self) -> tuple[str, ...]:
        """The arrays of a sample that are targets."""
        return target_fields(self.heads)

    def texts(self, head: int = 0) -> Sequence[str]:
        """Class names of all samples for one head, joined by | if a sample has several.

        Empty if the head has no classes.
        """
        names, column = self.heads[head].class_names, self.columns[head]
        if not names:
            return []
        return joined_names(names, column) if column.ndim == 2 else [names[code] for code in column]


NO_LABELS = Labels((), ())


def target_fields(heads: Iterable[Head]) -> tuple[str, ...]:
    """The arrays of a sample that are targets of `heads`."""
    return tuple(head.field for head in heads if head.field)


def _target(head: Head, column: Array, indices: Indices, x: Values) -> Array:
    if head.field:
        array: Array = x.arrays[head.field]
        return array
    return x.copy() if head.mode == "input" else head.encode(column[indices])


def joined_names(names: Sequence[str], members: Array) -> list[str]:
    """The class names of each row of `members`, such as `cat|dog`; `members` has shape `(n, classes)`, 0 or 1."""
    return ["|".join(names[code] for code in np.flatnonzero(row).tolist()) for row in members]


def class_head(mode: ClassMode | None, class_names: Sequence[str]) -> tuple[Head, ...]:
    """Heads of data whose samples belong to one class each.

    Raises `DataError` if the number of classes does not fit the mode.
    """
    if mode is None:
        return ()
    if mode == "input":
        return (Head("", "input"),)
    if not all(map(str.strip, class_names)):
        raise DataError(f"classes must have names, got an empty one among {first_few(map(repr, class_names))}")
    if mode == "binary" and len(class_names) != 2:
        raise DataError(
            f"data.class_mode=binary needs 2 classes, got {len(class_names)} ({first_few(class_names)}); "
            "set data.class_mode=categorical or sparse"
        )
    if len(class_names) < 2:
        raise DataError(
            f"data.class_mode={mode} needs at least 2 classes, got {len(class_names)} ({first_few(class_names)}); "
            "for data without classes set data.class_mode=null"
        )
    return (Head("", mode, tuple(class_names)),)


def encode_classes(values: Array) -> tuple[tuple[str, ...], Indices]:
    """Class names in the order of `vocabulary`, and the code of each value, shape `(n,)`, int64."""
    classes, codes = np.unique(values, return_inverse=True)
    names = [str(value) for value in classes]
    ordered = vocabulary(names)
    return ordered, codes_of(names, {name: code for code, name in enumerate(ordered)})[codes]


Known = Mapping[str, tuple[str, ...]]
"""Class names of a model, by the name of their head. They replace the class names found in the data."""


def vocabulary(names: Iterable[str]) -> tuple[str, ...]:
    """Every name once, sorted: by size if all are numbers, else alphabetically. All sources order classes like this.

    >>> vocabulary(["10", "9", "9"]), vocabulary(["10", "9", "b"])
    (('9', '10'), ('10', '9', 'b'))
    """
    unique = set(names)
    numbers = {name: number_in(name) for name in unique}
    if None in numbers.values():
        return tuple(sorted(unique))
    return tuple(sorted(unique, key=lambda name: (numbers[name], name)))


def refuse_quantities(mode: ClassMode, names: Sequence[str], num_samples: int) -> None:
    """Raise `DataError` for names that are to be predicted as numbers, not as classes.

    These are fractions that hardly ever repeat, and numbers of which one has a decimal comma.
    """
    values = [number_in(name) for name in names]
    points = [with_decimal_point(name) for name in names]
    if any(points) and all(point or value is not None for point, value in zip(points, values, strict=True)):
        comma, point = next((name, point) for name, point in zip(names, points, strict=True) if point)
        raise DataError(
            f"data.class_mode={mode} needs classes, got {comma!r}; for numbers write {point} and set "
            "data.class_mode=raw, for several classes per sample set data.class_mode=multi_label"
        )
    if len(names) < MANY or 2 * len(names) <= num_samples or None in values:
        return
    fraction = next((name for name, value in zip(names, values, strict=True) if value and value % 1), None)
    if fraction is not None:
        raise DataError(
            f"data.class_mode={mode} needs classes, got {len(names):,} different numbers, such as {fraction}, for "
            f"{plural(num_samples, 'training sample')}; data.class_mode=raw predicts numbers"
        )


def codes_of(names: Sequence[str], known: Mapping[str, int]) -> Indices:
    """The code of each name, shape `(n,)`, int64; -1 for unknown names."""
    return np.fromiter((known.get(name, -1) for name in names), np.int64, len(names))


OF_FIELDS = ("field", "stored", "ignored", "shape")


def heads_document(heads: Iterable[Head]) -> list[dict[str, Any]]:
    """Heads as plain values, for JSON; what only masks have is left out of others."""
    return [
        {name: value for name, value in asdict(head).items() if name not in OF_FIELDS or value not in ("", (), None)}
        for head in heads
    ]


def read_heads(documents: Iterable[Mapping[str, Any]]) -> tuple[Head, ...]:
    """Heads from plain values; the lists of JSON become tuples."""
    return tuple(Head(**{name: _tuple(value) for name, value in document.items()}) for document in documents)


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
