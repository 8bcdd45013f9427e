"""Targets that are arrays: samples of two sources side by side; masks whose stored values become class codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import xxhash

from runner.batch import Array, ArraySpec, Indices
from runner.data.labels import Head, Labels
from runner.data.masks import MASK
from runner.data.places import Spans
from runner.data.source import Source
from runner.data.views import Relabelled, Wrapper
from runner.errors import BadSampleError, DataError
from runner.fields import Fields, Layout, SampleSpec, Values, named_specs
from runner.images.mask_classes import MaskClasses
from runner.messages import shape_text
from runner.place import Place


@dataclass(frozen=True)
class SideBySide(Source):
    """The samples of several sources as the arrays of one, by name; ids and labels are those of the first source."""

    sources: Mapping[str, Source]

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the first source."""
        return self._first.ids

    @property
    def labels(self) -> Labels:
        """The labels of the first source."""
        return self._first.labels

    @property
    def spec(self) -> Layout:
        """The specs of the sources by name."""
        specs = ((name, source.spec) for name, source in self.sources.items())
        return Layout(tuple((name, spec) for name, spec in specs if isinstance(spec, ArraySpec)))

    @property
    def _first(self) -> Source:
        return next(iter(self.sources.values()))

    def places(self, index: int) -> tuple[Place, ...]:
        """Where the bytes of all arrays are."""
        return tuple(place for source in self.sources.values() for place in source.places(index))

    def spans(self) -> Spans | None:
        """Of each sample the part of a large file from its first to its last array; None if they lie in none."""
        spans = [source.spans() for source in self.sources.values()]
        known = [one for one in spans if one is not None]
        return reduce(Spans.over, known) if len(known) == len(spans) else None

    def read(self, index: int, out: Values = None) -> Values:
        """Read sample `index` from each source."""
        values = self.spec.empty() if out is None else out
        for name, source in self.sources.items():
            source.read(index, values.arrays[name])
        return values

    def read_many(self, indices: Indices, out: Values) -> None:
        """Read the samples at `indices` from each source."""
        for name, source in self.sources.items():
            source.read_many(indices, out.arrays[name])

    def read_hashed(self, index: int, out: Values) -> bytes | None:
        """Read sample `index` into `out`; return one digest of its bytes, None if their bytes are not seen."""
        digests = [source.read_hashed(index, out.arrays[name]) for name, source in self.sources.items()]
        return None if None in digests else xxhash.xxh3_128(b"".join(filter(None, digests))).digest()


@dataclass(frozen=True)
class CodedMasks(Wrapper):
    """The samples of `source` with class codes in place of the stored values of the array `field`."""

    field: str
    classes: MaskClasses
    new_labels: Labels

    @property
    def labels(self) -> Labels:
        """The labels, with the mask as target."""
        return self.new_labels

    @property
    def spec(self) -> SampleSpec:
        """The source's spec; the mask has height and width, and the dtype of codes."""
        return self._spec

    @property
    def _spec(self) -> Layout:
        specs = dict(self._read_spec.specs)
        return Layout(tuple({**specs, self.field: ArraySpec(specs[self.field].shape[:2], self.classes.dtype)}.items()))

    @property
    def _read_spec(self) -> Layout:
        spec = self.source.spec
        if not isinstance(spec, Layout):
            raise DataError(f"samples with masks must have several arrays, got {spec}")
        return spec

    def read(self, index: int, out: Values = None) -> Values:
        """Read sample `index`. Raises `BadSampleError` for a mask with a value that has no class."""
        values = self._read_spec.empty()
        self.source.read(index, values)
        return self._coded(index, values, self._spec.empty() if out is None else out)

    def read_many(self, indices: Indices, out: Values) -> None:
        """Read the samples at `indices` into the rows of `out`."""
        for row, index in enumerate(indices.tolist()):
            self.read(index, out[row])

    def read_hashed(self, index: int, out: Values) -> bytes | None:
        """Read sample `index` into `out`; return the digest of its bytes."""
        values = self._read_spec.empty()
        digest = self.source.read_hashed(index, values)
        self._coded(index, values, out)
        return digest

    def _coded(self, index: int, values: Fields, out: Fields) -> Fields:
        arrays = dict(values.arrays)
        try:
            arrays[self.field] = self.classes.codes(whole_numbers(arrays[self.field]))
        except ValueError as error:
            _, *others = self.places(index) or (None,)
            raise BadSampleError(others[0].name if others else self.ids[index], f"its mask {error}") from error
        out[...] = Fields(arrays)
        return out


def whole_numbers(mask: Array) -> Array:
    """A mask without an axis of one channel, of whole numbers. Raises `ValueError` for others."""
    flat = mask[..., 0] if mask.ndim == 3 and mask.shape[2] == 1 else mask
    if flat.dtype.kind == "b":
        return flat.view(np.uint8)
    if flat.dtype.kind == "f":
        whole = np.rint(flat)
        if not (whole == flat).all():
            raise ValueError("must hold whole numbers, got fractions")
        return whole.astype(np.int64)
    return flat


def refuse_other_sides(spec: Layout, mask: str, what: str) -> None:
    """Raise `DataError` unless the array `mask` has height and width of all others with more than one axis."""
    specs = dict(spec.specs)
    shape = specs[mask].shape
    images = [one for name, one in spec.specs if name != mask and len(one.shape) > 1]
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 1)) or not images:
        raise DataError(f"{what} must have the shape height×width, or height×width×1, got {shape_text(shape)}")
    if other := next((one for one in images if one.shape[:2] != shape[:2]), None):
        raise DataError(f"{what} must have the height and width of the images, {other}, got {shape_text(shape)}")


def with_array_target(source: Source, field: str) -> Source:
    """`source`, whose array `field` is an array of numbers to predict."""
    spec = dict(named_specs(source.spec))[field]
    head = Head("", "raw", field=field, shape=spec.shape)
    return Relabelled(source, Labels((head,), (np.empty(0, np.int64),), source.labels.weights))


def with_masks(source: Source, classes: MaskClasses, labels: Labels, field: str = MASK) -> CodedMasks:
    """`source`, whose array `field` is a mask, with class codes; `labels` are those of masks, and weights."""
    return CodedMasks(source, field, classes, replace(labels, weights=source.labels.weights))
