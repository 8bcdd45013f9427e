"""What samples are called, and how a class mode turns that into the `y` of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runner.errors import DataError
from runner.samples import Array, Indices, Targets

ClassMode = Literal["categorical", "sparse", "binary", "input"]


@dataclass(frozen=True, slots=True)
class Head:
    """One thing to predict: an output of the model and a target of the batch.

    A model with a single head leaves `name` empty; `class_names` is empty where the target is no class.
    """

    name: str
    mode: ClassMode
    class_names: tuple[str, ...] = ()

    def encode(self, codes: Indices) -> Array:
        """The target array of samples with these class codes, as Keras's `flow_from_directory` has it.

        `categorical`: one-hot, float32, shape `(n, classes)`; `sparse` and `binary`: float32, shape `(n,)`.
        """
        if self.mode == "categorical":
            one_hot = np.zeros((len(codes), len(self.class_names)), np.float32)
            one_hot[np.arange(len(codes)), codes] = 1
            return one_hot
        return codes.astype(np.float32)


@dataclass(frozen=True)
class Labels:
    """The labels of all samples: per head, one class code a sample, shape `(num_samples,)`, int64.

    A head of mode `input` has no codes (its target is the sample itself): its column is empty.
    """

    heads: tuple[Head, ...]
    columns: tuple[Indices, ...]

    def take(self, indices: Indices) -> Labels:
        """The labels of a selection of samples."""
        return Labels(self.heads, tuple(c[indices] if len(c) else c for c in self.columns))

    def encode(self, indices: Indices, x: Array) -> Targets:
        """`y` of the samples at `indices`, whose arrays are `x`: one array, or one per named head, or None."""
        encoded = {
            head.name: x.copy() if head.mode == "input" else head.encode(column[indices])
            for head, column in zip(self.heads, self.columns, strict=True)
        }
        return encoded[""] if list(encoded) == [""] else encoded or None

    def texts(self, head: int = 0) -> Sequence[str]:
        """The class names of all samples under one head; empty where the head has no classes."""
        names = self.heads[head].class_names
        return [names[code] for code in self.columns[head]] if names else []


NO_LABELS = Labels((), ())


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
