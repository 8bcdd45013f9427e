"""Array specs and batches: the data types that sources, loaders and feeds share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.messages import shape_text

Array = NDArray[Any]
Indices = NDArray[np.int64]
Targets = Array | dict[str, Array] | None
"""`y` or the weights of a batch: one array, one array per head by the head's name, or None."""

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Shape (without the batch dimension) and dtype of one sample's array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        """Bytes of one sample."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        """The spec in a message.

        >>> str(ArraySpec((8, 8, 1), np.dtype("uint8"))), str(ArraySpec((), np.dtype("float32")))
        ('8×8×1 uint8', 'a single float32 number')
        """
        return f"{shape_text(self.shape)} {self.dtype}" if self.shape else f"a single {self.dtype} number"


@dataclass(frozen=True, slots=True)
class Batch:
    """The data of one training step.

    `x` has shape `(n, *sample shape)`. `y` follows `class_mode`. `sample_weight` has shape `(n,)`, float32, or is one
    such array per named head, or None.
    `ids` are the ids of the n samples, in the order of the rows.
    """

    x: Array
    y: Targets
    sample_weight: Targets
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)
