"""Samples that an object of the user's reads: an array each, or several arrays by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.batch import Array
from runner.data.labels import Labels
from runner.data.source import Source
from runner.errors import BadSampleError, DataError, UserReadError
from runner.fields import Fields, Layout, SampleSpec, Values, in_order, spec_of
from runner.finite import narrowed
from runner.messages import first_few
from runner.place import Place
from runner.user_code import error_text

OF_THE_SAMPLE = (OSError, EOFError, ValueError, BadSampleError)
"""Errors that a missing, truncated or damaged file raises; any other error is a mistake in the user's code."""


@dataclass(frozen=True)
class FieldChoice:
    """Which arrays of a dict are used: those `kept`, or all if there are none, but for those `left_out`."""

    kept: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def choose(self, arrays: Mapping[str, Array], called: str) -> dict[str, Array]:
        """The arrays that are used. Raises `DataError` if one of those is missing."""
        if missing := [name for name in self.kept if name not in arrays]:
            raise DataError(
                f"{called} must return a dict with {first_few(self.kept)}, which inputs and targets name, got no "
                f"{first_few(missing)} among {first_few(arrays)}"
            )
        return {name: arrays[name] for name in self.kept or arrays if name not in self.left_out}


@dataclass(frozen=True)
class UserSamples(Source):
    """Samples that the user's object reads; each must have the spec of the first.

    Worker processes get the object by pickle. Several threads call its `read` at once.
    """

    instance: Any
    ids: list[str]
    labels: Labels
    spec: SampleSpec
    fields: FieldChoice

    def places(self, index: int) -> tuple[Place, ...]:
        """The files of sample `index`: the object's `path(index)` gives one, or a list."""
        path = getattr(self.instance, "path", None)
        given = path(index) if callable(path) else ()
        return tuple(Place(os.fspath(file)) for file in (given if isinstance(given, list | tuple) else (given,)))

    def read(self, index: int, out: Values = None) -> Values:
        """Read sample `index`; float64 becomes float32."""
        values = in_order(read_values(self.instance, index, self.ids[index], self.fields), self.spec)
        if (spec := spec_of(values)) != self.spec:
            like = "arrays like those" if isinstance(self.spec, Layout) else "an array like that"
            raise BadSampleError(
                self.ids[index], f"read({index}) must return {like} of the first sample, {self.spec}, got {spec}"
            )
        if out is None:
            return values.copy()
        out[...] = values
        return out


ALL = FieldChoice()


def read_values(instance: Any, index: int, name: str, fields: FieldChoice = ALL) -> Values:
    """Read sample `index` of the user's object: an array of numbers, or several by name; float64 becomes float32.

    In a dict, a single number becomes an array of one value; a dict of one array counts as the array. Raises
    `BadSampleError` with the sample's `name`, or its subclass `UserReadError` if the code is at fault.
    """
    try:
        given = instance.read(index)
        if isinstance(given, Mapping):
            arrays = {str(field): np.atleast_1d(np.asarray(part)) for field, part in given.items()}
        else:
            arrays = {"": np.asarray(given)}
    except MemoryError:
        raise
    except Exception as error:
        kind = BadSampleError if isinstance(error, OF_THE_SAMPLE) else UserReadError
        raise kind(name, f"read({index}) failed: {error_text(error)}") from error
    arrays = fields.choose(arrays, f"{name}: read({index})") if isinstance(given, Mapping) else arrays
    if not arrays:
        raise BadSampleError(name, f"read({index}) must return an array, or a dict of arrays, got an empty dict")
    checked = {field: _numbers(array, index, name, f" for {field}" if field else "") for field, array in arrays.items()}
    return Fields(checked) if len(checked) > 1 else next(iter(checked.values()))


def _numbers(array: Array, index: int, name: str, what: str) -> Array:
    if array.dtype.kind not in "biuf":
        raise BadSampleError(name, f"read({index}) must return an array of numbers{what}, got one of {array.dtype}")
    if not array.ndim:
        raise BadSampleError(
            name, f"read({index}) must return an array with at least one axis, got a single number; return [value]"
        )
    return narrowed(array)
