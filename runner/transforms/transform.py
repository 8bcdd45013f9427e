"""Transforms of samples between reading and the batch, and those that are functions of the user's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from runner.batch import Array
from runner.errors import DataError
from runner.fields import Fields, SampleSpec, Values, in_order, inputs_of, spec_of
from runner.finite import narrowed
from runner.seeds import Purpose, derive


class Transform(Protocol):
    """A pure function of a sample's values, its pass and its index in its split.

    The pass is how often the sample has been drawn before; an epoch that holds each sample once is one pass.

    Worker processes get it by pickle, threads share it. It never imports Keras or TensorFlow.
    """

    @property
    def spec(self) -> SampleSpec:
        """Shape and dtype of the transformed samples."""

    def __call__(self, values: Values, number: int, index: int) -> Values:
        """The transformed sample: `values` itself, a view of it, or new memory; `values` may be written to.

        Raises `DataError` if the sample cannot be transformed; the reader adds the sample's name.
        """


Transforms = tuple[Transform, ...]
"""Transforms in the order in which they are applied; samples get the `spec` of the last."""


Function = Callable[[Any, np.random.Generator], Any]
"""Gets and returns an array, or a dict of arrays by name."""


def informed(function: Callable[..., Any], **facts: Any) -> Function:
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


TRANSFORM, OF_TRAINING = "data.transform", "data.augment.transform"
"""The keys that name a function: for the samples of all splits, and for augmented ones."""

STREAMS = {TRANSFORM: Purpose.TRANSFORM, OF_TRAINING: Purpose.AUGMENT_TRANSFORM}
"""The random numbers of each."""


@dataclass(frozen=True)
class UserTransform:
    """Calls `function(array, rng)`; `rng` depends on the seed, the pass and the index of the sample only.

    A sample of several arrays is a dict by name for the function; it may return such a dict, or one array.

    Outside training every pass counts as the first, so other splits do not change.
    """

    name: str
    function: Function
    spec: SampleSpec
    seed: int
    training: bool
    key: str = TRANSFORM

    @property
    def label(self) -> str:
        """The key and the function, for messages."""
        return f"{self.key}={self.name}"

    def __call__(self, values: Values, number: int, index: int) -> Values:
        """The result of the function; float64 becomes float32.

        Raises `DataError` if its shape or dtype differs from that of the first sample.
        """
        rng = _rng(self.seed, number if self.training else 0, index, self.key)
        changed = in_order(_call(self.label, self.function, values, rng), self.spec)
        if (spec := spec_of(changed)) != self.spec:
            like = "as for the first" if self.key == TRANSFORM else "as it gets"
            raise DataError(f"{self.label} must return {self.spec} for every sample, {like}; got {spec}")
        return changed


def transformed_spec(name: str, function: Function, first: Values, seed: int) -> SampleSpec:
    """Shape and dtype of the transformed `first` sample, which all others must have."""
    return spec_of(_call(f"{TRANSFORM}={name}", function, first, _rng(seed, 0, 0, TRANSFORM)))


def _rng(seed: int, number: int, index: int, key: str) -> np.random.Generator:
    return np.random.default_rng(derive(seed, STREAMS[key], number, index))


def _call(label: str, function: Function, values: Values, rng: np.random.Generator) -> Values:
    try:
        changed = function(inputs_of(values), rng)
    except Exception as error:
        error.add_note(f"in {label}")
        raise
    if not isinstance(changed, dict):
        return _checked(f"{label} must return", changed)
    if not changed:
        raise DataError(f"{label} must return an array, or a dict of arrays by name, got an empty dict")
    returns = f"{label} must return for "
    arrays = {str(field): _checked(f"{returns}{field}", array) for field, array in changed.items()}
    return Fields(arrays) if len(arrays) > 1 else next(iter(arrays.values()))


def _checked(returns: str, changed: Any) -> Array:
    if not isinstance(changed, np.ndarray) or changed.dtype.kind not in "biuf":
        got = f"an array of {changed.dtype}" if isinstance(changed, np.ndarray) else type(changed).__name__
        raise DataError(f"{returns} a NumPy array of numbers, got {got}")
    if not changed.size or not changed.ndim:
        raise DataError(f"{returns} an array of values along at least one axis, got shape {changed.shape}")
    return narrowed(changed)
