"""A batch of the user's, in any of the forms that Keras takes, as checked arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec, Targets
from runner.errors import DataError
from runner.fields import Fields, Layout, SampleSpec, Values, arrays_of
from runner.finite import all_finite, batch_dtype, narrowed, not_finite_text
from runner.messages import plural


@dataclass(frozen=True)
class UserBatch:
    """A batch of the user, as arrays; the user's code may write to the memory of `x` again."""

    x: Values
    y: Targets
    sample_weight: Targets

    @property
    def spec(self) -> SampleSpec:
        """Shape and dtype of a sample; float64 becomes float32."""
        specs = [(name, ArraySpec(array.shape[1:], batch_dtype(array.dtype))) for name, array in arrays_of(self.x)]
        return Layout(tuple(specs)) if isinstance(self.x, Fields) else specs[0][1]

    @property
    def targets(self) -> Mapping[str, Array]:
        """The targets by the names of their heads."""
        return self.y if isinstance(self.y, dict) else {} if self.y is None else {"": self.y}


def user_batch(batch: Any) -> UserBatch:
    """The arrays of a batch in one of Keras's forms: `x`, `(x, y)` or `(x, y, sample_weight)`.

    Several inputs are a dict by name. A single input or weight may have a name, or be the only item of a list. Raises
    `DataError` for anything else.
    """
    parts = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    if not 1 <= len(parts) <= 3:
        raise DataError(f"a batch must be x, (x, y) or (x, y, sample_weight), got {len(parts)} parts")
    given, y, weights = (*parts, None, None)[:3]
    x, y = _only(given), y if isinstance(y, dict) else _only(y)
    if isinstance(x, list | tuple) or (isinstance(x, dict) and not x):
        raise DataError(
            f"x must be one array, or a dict of arrays by the names of the model's inputs, got a {type(x).__name__} of "
            f"{len(x)}"
        )
    if isinstance(y, list | tuple):
        raise DataError(
            "y must be one array, or a dictionary of arrays by the names of the model's outputs, got a "
            f"{type(y).__name__}; make it a numpy.array, or give the outputs names"
        )
    x = _inputs(x)
    targets = _targets(y)
    return UserBatch(x, targets, None if weights is None else _weights(weights, targets, len(x)))


def _inputs(x: Any) -> Values:
    """`x` as an array, or as `Fields` with one row per sample in each array; a column of numbers gets a second axis."""
    if not isinstance(x, dict):
        return _numbers("x", np.asarray(x))
    columns = {str(name): np.asarray(part) for name, part in x.items()}
    arrays = {name: _numbers(called(name), part[:, None] if part.ndim == 1 else part) for name, part in columns.items()}
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise DataError(f"all arrays of x must have the same number of rows, got {lengths}")
    return Fields(arrays)


def _numbers(called: str, array: Array) -> Array:
    if array.ndim < 2 or array.dtype.kind not in "biuf" or not len(array):
        raise DataError(
            f"{called} must hold numbers and have shape (samples, …), got shape {array.shape} of {array.dtype}"
        )
    return array


def called(name: str) -> str:
    """The name of an input in messages."""
    return f"x[{name!r}]" if name else "x"


def _only(value: Any) -> Any:
    """The only item of a dictionary, or of a list whose item is an array; any other value as it is."""
    if isinstance(value, dict) and len(value) == 1:
        return next(iter(value.values()))
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 and np.ndim(value[0]) else value


def _targets(y: Any) -> Targets:
    if y is None:
        return None
    if not isinstance(y, dict):
        return np.array(y)
    targets = {str(name): np.array(target) for name, target in y.items()}
    return targets if len(targets) > 1 else next(iter(targets.values()), None)


def _weights(weights: Any, y: Targets, num_samples: int) -> Targets:
    """Weights of the samples, by output if they are a dictionary; an output without weights has weights of 1."""
    if not isinstance(weights, dict):
        return _column_of_weights(weights, "sample_weight", num_samples)
    if not isinstance(y, dict) and len(weights) == 1:
        return _column_of_weights(_only(weights), "sample_weight", num_samples)
    names = list(y) if isinstance(y, dict) else []
    unknown = [str(name) for name in weights if str(name) not in names]
    if unknown:
        raise DataError(
            f"sample_weight must name outputs of y ({', '.join(names) or 'it is one array'}), got {', '.join(unknown)}"
        )
    ones = np.ones(num_samples, np.float32)
    return {
        name: _column_of_weights(weights.get(name, ones), f"sample_weight[{name!r}]", num_samples) for name in names
    }


def _column_of_weights(weights: Any, called: str, num_samples: int) -> Array:
    column = narrowed(np.array(weights, np.float64)).reshape(-1)
    if len(column) != num_samples:
        raise DataError(f"{called} must hold one number for each of {plural(num_samples, 'sample')}, got {len(column)}")
    if not all_finite(column):
        raise DataError(f"{called} must hold numbers, got {not_finite_text(column)}")
    return column
