"""Views: samples of other sources, selected, joined, relabelled or read in another way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain

import numpy as np

from runner.batch import Array, Indices
from runner.data.ids import Ids, select_ids
from runner.data.labels import NO_LABELS, Head, Labels
from runner.data.places import Spans, joined
from runner.data.source import Source
from runner.data.stored_samples import StoredSamples
from runner.errors import DataError
from runner.fields import SampleSpec, Values
from runner.messages import did_you_mean, first_few
from runner.place import Place

MOST_CLASSES = 20
"""Classes that a message names."""


@dataclass(frozen=True)
class View(Source):
    """Samples that other sources read; a subclass says which."""

    @abstractmethod
    def locate(self, index: int) -> tuple[Source, int]:
        """The source that reads sample `index`, and the sample's index there."""

    def places(self, index: int) -> tuple[Place, ...]:
        """Where the bytes of sample `index` are."""
        source, index = self.locate(index)
        return source.places(index)

    def read(self, index: int, out: Values = None) -> Values:
        """Read sample `index` from its source."""
        source, index = self.locate(index)
        return source.read(index, out)

    def read_hashed(self, index: int, out: Values) -> bytes | None:
        """Read sample `index` into `out`; return the digest of its bytes."""
        source, index = self.locate(index)
        return source.read_hashed(index, out)

    def __getstate__(self) -> dict[str, object]:
        # Cached properties do not travel to worker processes.
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Selection(View):
    """The samples of `source` at `indices`, in that order."""

    source: Source
    indices: Indices

    @cached_property
    def ids(self) -> Sequence[str]:
        """Ids of the selected samples."""
        return select_ids(self.source.ids, self.indices)

    @cached_property
    def labels(self) -> Labels:
        """Labels of the selected samples."""
        return self.source.labels.take(self.indices)

    @property
    def spec(self) -> SampleSpec:
        """The source's spec."""
        return self.source.spec

    def __len__(self) -> int:
        return len(self.indices)

    def locate(self, index: int) -> tuple[Source, int]:
        """The source, and the sample's index in it."""
        return self.source, int(self.indices[index])

    def spans(self) -> Spans | None:
        """Those of the selected samples."""
        spans = self.source.spans()
        return None if spans is None else spans.take(self.indices)

    def read_many(self, indices: Indices, out: Values) -> None:
        """Read the selected samples at `indices` into the rows of `out`."""
        self.source.read_many(self.indices[indices], out)


def select(source: Source, indices: Indices) -> Source:
    """The samples of `source` at `indices`, in that order."""
    if isinstance(source, StoredSamples):  # a list of places needs no view
        return source.select(indices)
    if isinstance(source, Selection):
        return Selection(source.source, source.indices[indices])
    return Selection(source, indices)


@dataclass(frozen=True)
class Joined(View):
    """The samples of `sources`, one source after the other; all have the same spec and the same heads."""

    sources: tuple[Source, ...]

    @cached_property
    def ids(self) -> Sequence[str]:
        """Ids of all samples."""
        return Ids(chain.from_iterable(source.ids for source in self.sources))

    @cached_property
    def labels(self) -> Labels:
        """Labels of all samples; samples of a source without weights have weight 1 if another source has weights."""
        parts = [source.labels for source in self.sources]
        columns = zip(*(part.columns for part in parts), strict=True)
        weighted = any(part.weights is not None for part in parts)
        weights = np.concatenate([_weights(source) for source in self.sources]) if weighted else None
        return Labels(parts[0].heads, tuple(np.concatenate(column) for column in columns), weights)

    @property
    def spec(self) -> SampleSpec:
        """The spec of every source."""
        return self.sources[0].spec

    @cached_property
    def _ends(self) -> Indices:
        return np.cumsum([len(source) for source in self.sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def spans(self) -> Spans | None:
        """Those of all sources; None if one of them has none."""
        parts = [spans for source in self.sources if (spans := source.spans()) is not None]
        return joined(parts) if len(parts) == len(self.sources) else None

    def locate(self, index: int) -> tuple[Source, int]:
        """The source of a sample, and the sample's index there."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self.sources[number], index - int(self._ends[number - 1]) if number else index


def _weights(source: Source) -> Array:
    weights = source.labels.weights
    return np.ones(len(source), np.float32) if weights is None else weights


def join(sources: tuple[Source, ...]) -> Source:
    """The samples of `sources`, one source after the other."""
    return sources[0] if len(sources) == 1 else Joined(sources)


@dataclass(frozen=True)
class Wrapper(View):
    """All samples of `source` in its order; a subclass changes their labels, or how they are read."""

    source: Source

    @property
    def ids(self) -> Sequence[str]:
        """The source's ids."""
        return self.source.ids

    @property
    def labels(self) -> Labels:
        """The source's labels."""
        return self.source.labels

    @property
    def spec(self) -> SampleSpec:
        """The source's spec."""
        return self.source.spec

    def __len__(self) -> int:
        return len(self.source)

    def locate(self, index: int) -> tuple[Source, int]:
        """The source, and the same index."""
        return self.source, index

    def spans(self) -> Spans | None:
        """The source's."""
        return self.source.spans()

    def read_many(self, indices: Indices, out: Values) -> None:
        """Read the source's samples at `indices` into the rows of `out`."""
        self.source.read_many(indices, out)


@dataclass(frozen=True)
class Relabelled(Wrapper):
    """The samples of `source` with `new_labels`."""

    new_labels: Labels

    @property
    def labels(self) -> Labels:
        """The new labels."""
        return self.new_labels


def relabel(source: Source, heads: tuple[Head, ...]) -> Source:
    """The samples of `source` with the heads of a model: each class gets the model's code for its name.

    Samples without labels stay without, unless the model only predicts the sample itself.
    Raises `DataError` if the source has a class or a target that is unknown to the model.
    """
    labels = source.labels
    if heads and all(head.mode == "input" for head in heads):
        labels = Labels(heads, tuple(np.empty(0, np.int64) for _ in heads), labels.weights)
    elif labels.heads:
        labels = Labels(heads, tuple(_column(labels, head) for head in heads), labels.weights)
    else:
        labels = NO_LABELS
    return Relabelled(source, labels)


def _column(labels: Labels, head: Head) -> Array:
    """The column of labels under the head's name, recoded to the head's classes."""
    found = [number for number, other in enumerate(labels.heads) if other.name == head.name]
    if not found or not _same_form(labels.heads[found[0]], head):
        raise DataError(_other_targets(labels.heads, head))
    column, names = labels.columns[found[0]], labels.heads[found[0]].class_names
    if head.field and (unknown := [name for name in names if name not in head.class_names]):
        raise DataError(_unknown_classes(unknown, head))
    return column if names == head.class_names or head.field else _recode(column, names, head)


def _same_form(one: Head, other: Head) -> bool:
    """Whether two heads have columns of one kind; modes with one class per sample differ only in their encoding.

    Numbers that are named by their position may have any names in the other head.
    """
    if _kind(one) != _kind(other):
        return False
    names, of_other = one.value_names, other.value_names
    by_position = tuple(map(str, range(len(names))))
    return names == of_other or (len(names) == len(of_other) and by_position in (names, of_other))


def _kind(head: Head) -> str:
    return "class" if head.mode in ("categorical", "sparse", "binary") else head.mode


def _recode(column: Array, names: tuple[str, ...], head: Head) -> Array:
    """Recode class codes, or one column per class, from the order of `names` to the head's order."""
    unknown = [name for name in names if name not in head.class_names]
    if unknown:
        raise DataError(_unknown_classes(unknown, head))
    codes = np.array([head.class_names.index(name) for name in names], np.int64)
    if column.ndim == 2:
        wide = np.zeros((len(column), len(head.class_names)), column.dtype)
        wide[:, codes] = column
        return wide
    recoded: Array = np.where(column < 0, column, codes[column])  # -1: unknown
    return recoded


def _unknown_classes(unknown: list[str], head: Head) -> str:
    known = first_few(head.class_names, most=MOST_CLASSES)
    fix = did_you_mean(unknown[0], head.class_names) or "; remove their samples, or set data.class_mode=null to predict"
    return f"the data must have only classes of the model ({known}), got {first_few(unknown)}{fix}"


def _other_targets(heads: tuple[Head, ...], head: Head) -> str:
    return (
        f"the data must have the model's target ({_head_text(head)}), got {', '.join(map(_head_text, heads))}; "
        "set data.class_mode as in the run, or data.class_mode=null to predict"
    )


def _head_text(head: Head) -> str:
    return f"{head.name}: {head.mode}" if head.name else head.mode
