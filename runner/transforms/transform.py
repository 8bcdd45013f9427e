"""Transforms of samples between reading and the batch, and `data.transform`, a function of the user's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from runner.batch import Array, ArraySpec
from runner.errors import DataError
from runner.finite import narrowed
from runner.seeds import Purpose, derive


class Transform(Protocol):
    """A pure function of a sample's array, the epoch and the sample's index in its split.

    Worker processes get it by pickle, threads share it. It never imports Keras or TensorFlow.
    """

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of the transformed samples."""

    def __call__(self, array: Array, epoch: int, index: int) -> Array:
        """The transformed sample: `array` itself, a view of it, or a new array; `array` may be written to.

        Raises `DataError` if the sample cannot be transformed; the reader adds the sample's name.
        """


Transforms = tuple[Transform, ...]
"""Transforms in the order in which they are applied; samples get the `spec` of the last."""


Function = Callable[[Array, np.random.Generator], Array]


def informed(function: Callable[..., Array], **facts: Any) -> Function:
    """`function` with those of `facts` that it has parameters for, such as `split` in `f(array, rng, split)`.

    >>> informed(lambda array, rng, split: split, split="train", training=True)(None, None)
    'train'
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of a builtin
        return function
    wanted = {name: fact for name, fact in facts.items() if name in parameters}
    return functools.partial(function, **wanted) if wanted else function


@dataclass(frozen=True)
class UserTransform:
    """Calls `function(array, rng)`; `rng` depends on the seed, the epoch and the index of the sample only.

    Outside training every epoch counts as the first, so other splits do not change.
    """

    name: str
    function: Function
    spec: ArraySpec
    seed: int
    training: bool

    def __call__(self, array: Array, epoch: int, index: int) -> Array:
        """The result of the function; float64 becomes float32.

        Raises `DataError` if its shape or dtype differs from that of the first sample.
        """
        changed = _call(self.name, self.function, array, _rng(self.seed, epoch if self.training else 0, index))
        spec = ArraySpec(changed.shape, changed.dtype)
        if spec != self.spec:
            raise DataError(
                f"data.transform={self.name} must return {self.spec} for every sample, as for the first; got {spec}"
            )
        return changed


def transformed_spec(name: str, function: Function, first: Array, seed: int) -> ArraySpec:
    """Shape and dtype of the transformed `first` sample, which all others must have."""
    changed = _call(name, function, first, _rng(seed, 0, 0))
    return ArraySpec(changed.shape, changed.dtype)


def _rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    return np.random.default_rng(derive(seed, Purpose.TRANSFORM, epoch, index))


def _call(name: str, function: Function, array: Array, rng: np.random.Generator) -> Array:
    changed: Any = function(array, rng)
    if not isinstance(changed, np.ndarray) or changed.dtype.kind not in "biuf":
        got = f"an array of {changed.dtype}" if isinstance(changed, np.ndarray) else type(changed).__name__
        raise DataError(f"data.transform={name} must return a NumPy array of numbers, got {got}")
    if not changed.size or not changed.ndim:
        got = f"shape {changed.shape}"
        raise DataError(f"data.transform={name} must return an array of values along at least one axis, got {got}")
    return narrowed(changed)
