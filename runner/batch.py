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

    def buffer_bytes(self, num_samples: int) -> int:
        """Bytes of the buffer that holds this many samples."""
        return num_samples * self.num_bytes

    def view(self, buffer: Array, num_samples: int) -> Array:
        """The samples in `buffer`, uint8, as an array of shape `(num_samples, *shape)`."""
        return buffer[: num_samples * self.num_bytes].view(self.dtype).reshape((num_samples, *self.shape))

    def empty(self) -> Array:
        """An uninitialised sample."""
        return np.empty(self.shape, self.dtype)

    def __str__(self) -> str:
        """The spec in a message.

        >>> str(ArraySpec((8, 8, 1), np.dtype("uint8"))), str(ArraySpec((), np.dtype("float32")))
        ('8×8×1 uint8', 'a single float32 number')
        """
        return f"{shape_text(self.shape)} {self.dtype}" if self.shape else f"a single {self.dtype} number"


@dataclass(frozen=True, slots=True)
class Batch:
    """The data of one training step.

    `x` has shape `(n, *sample shape)`; it is a dict by field name if a sample has several arrays. `y` follows
    `class_mode`. `sample_weight` has shape `(n,)`, float32, with an axis of one for each further axis of the loss,
    `(n, 1, 1)` for masks; or it is one such array per named head, or None.
    `ids` are the ids of the n samples, in the order of the rows.
    """

    x: Array | dict[str, Array]
    y: Targets
    sample_weight: Targets
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)
