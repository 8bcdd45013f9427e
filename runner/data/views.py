"""Some samples of a source, as a source.

Several sources, as one.

A source whose labels are told in the words of a model.

A source around another one, which has the same samples under the same index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.data.ids import Ids, select_ids
from runner.data.labels import NO_LABELS, Head, Labels
from runner.data.source import FileSource, Source, has_files, read_many
from runner.errors import DataError
from runner.messages import nearest


@dataclass(frozen=True)
class Selection:
    """The samples of `source` at `indices`, in that order: what a split is made of."""

    source: Source
    indices: Indices

    @cached_property
    def ids(self) -> Sequence[str]:
        """The selected samples' ids."""
        return select_ids(self.source.ids, self.indices)

    @cached_property
    def labels(self) -> Labels:
        """The selected samples' labels."""
        return self.source.labels.take(self.indices)

    @property
    def spec(self) -> ArraySpec:
        """The source's own."""
        return self.source.spec

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int, out: Array | None = None) -> Array:
        """The array of the selection's sample `index`."""
        return self.source.read(int(self.indices[index]), out)

    def read_many(self, indices: Indices, out: Array) -> None:
        """Read the selection's samples at `indices` into the rows of `out`."""
        read_many(self.source, self.indices[indices], out)

    def __getstate__(self) -> dict[str, object]:
        # What can be derived again does not travel to worker processes.
        return {"source": self.source, "indices": self.indices}


class FileSelection(Selection):
    """Some samples of a source with one file per sample."""

    source: FileSource

    def path(self, index: int) -> Path:
        """The file of the selection's sample `index`."""
        return self.source.path(int(self.indices[index]))

    def read_hashed(self, index: int, out: Array) -> bytes | None:
        """Read it into `out`; the digest of its file."""
        return self.source.read_hashed(int(self.indices[index]), out)


def select(source: Source, indices: Indices) -> Source:
    """The samples of `source` at `indices`; it has files if `source` has."""
    return FileSelection(source, indices) if has_files(source) else Selection(source, indices)


@dataclass(frozen=True)
class Joined:
    """The samples of `sources`, one source after the other: all of one shape, and under the same heads."""

    sources: tuple[Source, ...]

    @cached_property
    def ids(self) -> Sequence[str]:
        """The ids of all samples."""
        return Ids(chain.from_iterable(source.ids for source in self.sources))

    @cached_property
    def labels(self) -> Labels:
        """The labels of all samples."""
        parts = [source.labels for source in self.sources]
        columns = zip(*(part.columns for part in parts), strict=True)
        weighted = any(part.weights is not None for part in parts)
        weights = np.concatenate([_weights(source) for source in self.sources]) if weighted else None
        return Labels(parts[0].heads, tuple(np.concatenate(column) for column in columns), weights)

    @property
    def spec(self) -> ArraySpec:
        """That of every source."""
        return self.sources[0].spec

    @cached_property
    def _ends(self) -> Indices:
        return np.cumsum([len(source) for source in self.sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, index: int, out: Array | None = None) -> Array:
        """The array of sample `index`."""
        number, index = self._place(index)
        return self.sources[number].read(index, out)

    def _place(self, index: int) -> tuple[int, int]:
        """The source of a sample, and its index there."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        return number, index - int(self._ends[number - 1]) if number else index

    def __getstate__(self) -> dict[str, object]:
        # What can be derived again does not travel to worker processes.
        return {"sources": self.sources}


class JoinedFiles(Joined):
    """Several sources with one file per sample, as one."""

    sources: tuple[FileSource, ...]

    def path(self, index: int) -> Path:
        """The file of sample `index`."""
        number, index = self._place(index)
        return self.sources[number].path(index)

    def read_hashed(self, index: int, out: Array) -> bytes | None:
        """Read sample `index` into `out`; the digest of its file."""
        number, index = self._place(index)
        return self.sources[number].read_hashed(index, out)


def _weights(source: Source) -> Array:
    """What the source's samples count in the loss; 1 where it does not say."""
    weights = source.labels.weights
    return np.ones(len(source), np.float32) if weights is None else weights


def join(sources: tuple[Source, ...]) -> Source:
    """The samples of `sources`, one source after the other; with files if all of them have files."""
    if len(sources) == 1:
        return sources[0]
    return JoinedFiles(sources) if all(map(has_files, sources)) else Joined(sources)


@dataclass(frozen=True)
class Relabelled:
    """The samples of `source` with other labels."""

    source: Source
    labels: Labels

    @property
    def ids(self) -> Sequence[str]:
        """The source's own."""
        return self.source.ids

    @property
    def spec(self) -> ArraySpec:
        """The source's own."""
        return self.source.spec

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int, out: Array | None = None) -> Array:
        """The array of the source's sample `index`."""
        return self.source.read(index, out)

    def read_many(self, indices: Indices, out: Array) -> None:
        """Read the source's samples at `indices` into the rows of `out`."""
        read_many(self.source, indices, out)


class RelabelledFiles(Relabelled):
    """Samples with other labels, of a source with one file per sample."""

    source: FileSource

    def path(self, index: int) -> Path:
        """The file of the source's sample `index`."""
        return self.source.path(index)

    def read_hashed(self, index: int, out: Array) -> bytes | None:
        """Read it into `out`; the digest of its file."""
        return self.source.read_hashed(index, out)


def relabel(source: Source, heads: tuple[Head, ...]) -> Source:
    """The samples of `source`, with the heads of a model: classes by name get the model's codes.

    Without labels the source has none for the model either, unless the model predicts nothing but the sample itself.
    Raises `DataError` where the source has a class or a target that the model does not know.
    """
    labels = source.labels
    if heads and all(head.mode == "input" for head in heads):
        labels = Labels(heads, tuple(np.empty(0, np.int64) for _ in heads), labels.weights)
    elif labels.heads:
        labels = Labels(heads, tuple(_column(labels, head) for head in heads), labels.weights)
    else:
        labels = NO_LABELS
    return (RelabelledFiles if has_files(source) else Relabelled)(source, labels)


def _column(labels: Labels, head: Head) -> Array:
    """What the data says under the head's name, in the head's codes."""
    found = [number for number, other in enumerate(labels.heads) if other.name == head.name]
    if not found or _form(labels.heads[found[0]]) != _form(head):
        raise DataError(_other_targets(labels.heads, head))
    column, names = labels.columns[found[0]], labels.heads[found[0]].class_names
    return column if names == head.class_names else _recode(column, names, head)


def _form(head: Head) -> tuple[str, tuple[str, ...]]:
    """What a column of labels holds; modes that name one class a sample differ only in what is made of it."""
    one_class = head.mode in ("categorical", "sparse", "binary")
    return "class" if one_class else head.mode, head.value_names


def _recode(column: Array, names: tuple[str, ...], head: Head) -> Array:
    """Class codes (or a column a class, for several classes a sample) by `names`, as the head numbers its classes."""
    unknown = [name for name in names if name not in head.class_names]
    if unknown:
        raise DataError(_unknown_classes(unknown, head))
    codes = np.array([head.class_names.index(name) for name in names], np.int64)
    if column.ndim == 2:
        wide = np.zeros((len(column), len(head.class_names)), column.dtype)
        wide[:, codes] = column
        return wide
    recoded: Array = np.where(column < 0, column, codes[column])  # -1: not known
    return recoded


def _unknown_classes(unknown: list[str], head: Head, most: int = 20) -> str:
    known = ", ".join(head.class_names[:most]) + (", …" if len(head.class_names) > most else "")
    near = nearest(unknown[0], head.class_names)
    mend = f"did you mean {near!r}?" if near else "remove their samples, or choose data.class_mode=null to predict"
    return f"the data must have only classes the model knows ({known}), got {', '.join(unknown)}; {mend}"


def _other_targets(heads: tuple[Head, ...], head: Head) -> str:
    def told(some: Head) -> str:
        return f"{some.name}: {some.mode}" if some.name else some.mode

    return (
        f"the data must have the target the model predicts ({told(head)}), got {', '.join(map(told, heads))}; "
        "set data.class_mode as in the run, or data.class_mode=null to predict"
    )


@dataclass(frozen=True)
class Wrapping:
    """All that is known of the samples of `source` without reading them; how they are read a subclass says."""

    source: Source

    @property
    def ids(self) -> Sequence[str]:
        """The source's own."""
        return self.source.ids

    @property
    def labels(self) -> Labels:
        """The source's own."""
        return self.source.labels

    @property
    def spec(self) -> ArraySpec:
        """The source's own."""
        return self.source.spec

    def __len__(self) -> int:
        return len(self.source)
