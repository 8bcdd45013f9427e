"""The role of a change: what is done to a sample after it is read.

`data.transform`: a function of the user's own, between reading and the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from runner.batch import Array, ArraySpec
from runner.errors import DataError
from runner.seeds import Purpose, derive


class Change(Protocol):
    """A pure function of a sample's array, the epoch and the sample's index in its split.

    It travels to worker processes by pickle, is shared freely by threads, and never imports Keras or TensorFlow.
    """

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of every array it gives."""

    def __call__(self, array: Array, epoch: int, index: int) -> Array:
        """The changed sample: `array` itself, a view of it, or an array of its own; `array` may be written to.

        Raises `DataError` where it cannot change the sample as it should; the reader adds which sample it was.
        """


Changes = tuple[Change, ...]
"""Changes made one after the other; the last one's `spec` is the sample's."""


Function = Callable[[Array, np.random.Generator], Array]


@dataclass(frozen=True)
class Transform:
    """Calls `function(array, rng)`; `rng` is the same for the same seed, epoch and index, wherever it is called.

    Beside training all epochs count as the first: the other splits stay the same.
    """

    name: str
    function: Function
    spec: ArraySpec
    seed: int
    training: bool

    def __call__(self, array: Array, epoch: int, index: int) -> Array:
        """What the function makes of the sample; float64 becomes float32.

        Raises `DataError` if it is not of the shape and dtype of the first sample's.
        """
        changed = _call(self.name, self.function, array, _rng(self.seed, epoch if self.training else 0, index))
        spec = ArraySpec(changed.shape, changed.dtype)
        if spec != self.spec:
            raise DataError(
                f"data.transform={self.name} must give every sample the shape and dtype of the first, "
                f"{self.spec}; got {spec}"
            )
        return changed


def transformed_spec(name: str, function: Function, first: Array, seed: int) -> ArraySpec:
    """What `function` makes of the first sample's array; all others must come out like it."""
    changed = _call(name, function, first, _rng(seed, 0, 0))
    return ArraySpec(changed.shape, changed.dtype)


def _rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    return np.random.default_rng(derive(seed, Purpose.TRANSFORM, epoch, index))


def _call(name: str, function: Function, array: Array, rng: np.random.Generator) -> Array:
    changed: Any = function(array, rng)
    if not isinstance(changed, np.ndarray) or changed.dtype.kind not in "biuf":
        found = f"an array of {changed.dtype}" if isinstance(changed, np.ndarray) else type(changed).__name__
        raise DataError(f"data.transform={name} must return a NumPy array of numbers, got {found}")
    return changed.astype(np.float32) if changed.dtype == np.float64 else changed
