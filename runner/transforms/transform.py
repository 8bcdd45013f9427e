"""The role of a change: what is done to a sample after it is read."""

from __future__ import annotations

from typing import Protocol

from runner.batch import Array, ArraySpec


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
