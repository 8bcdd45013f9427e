"""Fields: several named arrays in place of one, for samples such as an image with a few numbers.

A sample, and the samples of a batch, are one array or `Fields`; both are indexed, filled and copied alike, and so are
`ArraySpec` and `Layout`, which describe them. Code between the source and the batch need not know which it has.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.batch import Array, ArraySpec, Indices

ALIGNMENT = 64
"""In bytes. TensorFlow and JAX use an array at such an address directly; they copy any other."""

Values = Any
"""An array, or `Fields`."""


class Fields:
    """Named arrays of one sample, or of several samples with a row each in every array.

    Like a structured array of NumPy whose fields lie apart: an index selects from all arrays alike, and a selection by
    numbers and slices is a view.
    """

    __slots__ = ("arrays",)

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = dict(arrays)

    def __getitem__(self, index: Any) -> Fields:
        # The ellipsis makes a view of a single number, too.
        return Fields({name: array[index, ...] for name, array in self.arrays.items()})

    def __setitem__(self, index: Any, values: Fields) -> None:
        for name, array in self.arrays.items():
            array[index] = values.arrays[name]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def copy(self) -> Fields:
        """The same values in memory of their own."""
        return Fields({name: array.copy() for name, array in self.arrays.items()})

    def tobytes(self) -> bytes:
        """The bytes of all arrays, one after the other."""
        return b"".join(array.tobytes() for array in self.arrays.values())

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays together."""
        return sum(array.nbytes for array in self.arrays.values())


def arrays_of(values: Values) -> Iterable[tuple[str, Array]]:
    """Pairs of name and array, also of the `x` of a batch; the name of a single array is empty."""
    named = values.arrays if isinstance(values, Fields) else values
    return named.items() if isinstance(named, dict) else (("", named),)


def num_rows(x: Values) -> int:
    """The number of samples in the arrays of a batch."""
    ((_, first), *_) = arrays_of(x)
    return len(first)


def inputs_of(values: Values, targets: Container[str] = ()) -> Array | dict[str, Array]:
    """`x` of a batch: the array, or a dict of arrays by field name, without those named in `targets`."""
    inputs = {name: array for name, array in arrays_of(values) if name not in targets}
    return inputs if len(inputs) > 1 else next(iter(inputs.values()))


def take_rows(values: Values, indices: Indices, out: Values) -> None:
    """Copy the rows of `values` at `indices` into `out`."""
    for (_, array), (_, rows) in zip(arrays_of(values), arrays_of(out), strict=True):
        # mode="clip" writes straight into `rows`; the default copies into a buffer first (half as fast).
        np.take(array, indices, axis=0, out=rows, mode="clip")


def packed(rows: Values) -> Array:
    """The rows as bytes, shape `(len(rows), bytes of a sample)`, uint8; of one array, C-contiguous, a view."""
    parts = [array.reshape(len(array), -1).view(np.uint8) for _, array in arrays_of(rows)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def unpack(rows: Array, out: Values) -> None:
    """Copy bytes, as `packed` returns them, into the arrays of `out`."""
    start = 0
    for _, array in arrays_of(out):
        part = array.reshape(len(array), -1).view(np.uint8)
        part[...] = rows[:, start : start + part.shape[1]]
        start += part.shape[1]


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape and dtype of each named array of a sample, in the order of their names in a batch.

    The arrays of a batch lie in one buffer, because the memory of one buffer is easily reused: with a buffer for each
    array, 200 batches of an image and a mask took 204 allocations in place of 4.
    """

    specs: tuple[tuple[str, ArraySpec], ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of one sample."""
        return sum(spec.num_bytes for _, spec in self.specs)

    def buffer_bytes(self, num_samples: int) -> int:
        """Bytes of the buffer that holds this many samples: each array begins at an aligned address."""
        return sum(_aligned(spec.buffer_bytes(num_samples)) for _, spec in self.specs)

    def view(self, buffer: Array, num_samples: int) -> Fields:
        """The arrays in `buffer`, uint8; each has the shape `(num_samples, *shape of its spec)`."""
        arrays, start = {}, 0
        for name, spec in self.specs:
            arrays[name] = spec.view(buffer[start:], num_samples)
            start += _aligned(spec.buffer_bytes(num_samples))
        return Fields(arrays)

    def empty(self) -> Fields:
        """An uninitialised sample."""
        return Fields({name: spec.empty() for name, spec in self.specs})

    def __str__(self) -> str:
        """The layout in a message.

        >>> str(Layout((("image", ArraySpec((8, 8), np.dtype("uint8"))), ("age", ArraySpec((), np.dtype("float32"))))))
        'image 8×8 uint8, age a single float32 number'
        """
        return ", ".join(f"{name} {spec}" for name, spec in self.specs)


def _aligned(num_bytes: int) -> int:
    return -(-num_bytes // ALIGNMENT) * ALIGNMENT


SampleSpec = ArraySpec | Layout
"""What a sample looks like: one array, or several by name."""


def spec_of(values: Values) -> SampleSpec:
    """The spec of a sample."""
    if isinstance(values, Fields):
        return Layout(tuple((name, ArraySpec(array.shape, array.dtype)) for name, array in values.arrays.items()))
    return ArraySpec(values.shape, values.dtype)


def in_order(values: Values, spec: SampleSpec) -> Values:
    """`values` with their names in the order of `spec`, if they have the same names."""
    if not isinstance(values, Fields) or not isinstance(spec, Layout):
        return values
    names = [name for name, _ in spec.specs]
    return Fields({name: values.arrays[name] for name in names}) if {*names} == values.arrays.keys() else values


def named_specs(spec: SampleSpec) -> tuple[tuple[str, ArraySpec], ...]:
    """Pairs of name and spec of each array; the name of a single array is empty."""
    return spec.specs if isinstance(spec, Layout) else (("", spec),)


def input_spec(spec: SampleSpec, targets: Container[str]) -> SampleSpec:
    """The spec of what the model gets: without the arrays named in `targets`; of a single one, its own spec."""
    if not isinstance(spec, Layout):
        return spec
    inputs = tuple((name, one) for name, one in spec.specs if name not in targets)
    return Layout(inputs) if len(inputs) > 1 else inputs[0][1]
