"""Where the bytes of all samples are: in a file each, or one after the other in large files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from runner.batch import Indices
from runner.data.ids import names_at, select_ids
from runner.place import Place


class Stored(NamedTuple):
    """Samples in the order in which they are stored, by file and offset: their indices, offsets and sizes."""

    indices: Indices
    offset: NDArray[np.int64]
    size: NDArray[np.int64]


class Spans(NamedTuple):
    """The parts of large files that samples lie in: of each sample the number of its file, offset and size in bytes.

    `stored` has them in the order in which they are stored, where that is known.
    """

    files: tuple[str, ...]
    file: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    stored: Stored | None = None

    def take(self, indices: Indices) -> Spans:
        """Those of the samples at `indices`."""
        return Spans(self.files, self.file[indices], self.offset[indices], self.size[indices])

    def over(self, other: Spans) -> Spans:
        """Of each sample the part from the first to the last byte of both; they lie in the same files."""
        stored = None
        if self.stored is not None and other.stored is not None:
            stored = Stored(self.stored.indices, *_over(self.stored, other.stored))
        offset, size = _over(self, other)
        return Spans(self.files, self.file, offset, size, stored)


def _over(one: Spans | Stored, other: Spans | Stored) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offset and size of the part from the first to the last byte of both."""
    begin = np.minimum(one.offset, other.offset)
    return begin, np.maximum(one.offset + one.size, other.offset + other.size) - begin


def joined(parts: Sequence[Spans]) -> Spans:
    """The spans of several sources, one after the other; a file that several of them have counts once."""
    files = tuple(dict.fromkeys(chain.from_iterable(part.files for part in parts)))
    numbers = {file: number for number, file in enumerate(files)}
    file = [np.array([numbers[name] for name in part.files], np.int32)[part.file] for part in parts]
    offsets, sizes = [part.offset for part in parts], [part.size for part in parts]
    return Spans(files, np.concatenate(file), np.concatenate(offsets), np.concatenate(sizes))


class Places(Protocol):
    """The place of each sample, by index."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the files or members, by index."""

    def __getitem__(self, index: int) -> Place:
        """The place of sample `index`."""

    def at(self, indices: Indices) -> list[Place]:
        """The places of the samples at `indices`."""

    def select(self, indices: Indices) -> Self:
        """The places of the samples at `indices`, in that order, by their index there."""

    def spans(self) -> Spans | None:
        """The parts of large files; None if each sample is a file."""


@dataclass(frozen=True)
class FilePlaces:
    """Files below `folder`, named `folder/NAME` followed by `suffix`; an absolute name stays as it is."""

    folder: Path
    names: Sequence[str]
    suffix: str = ""

    def __getitem__(self, index: int) -> Place:
        """The file of sample `index`."""
        return Place(self._file(self.names[index]))

    def at(self, indices: Indices) -> list[Place]:
        """The files of the samples at `indices`."""
        return [Place(self._file(name)) for name in names_at(self.names, indices)]

    def select(self, indices: Indices) -> Self:
        """The files of the samples at `indices`."""
        return replace(self, names=select_ids(self.names, indices))

    def spans(self) -> None:
        """None: each sample is a file."""

    def _file(self, name: str) -> str:
        return os.path.join(self.folder, name) + self.suffix  # noqa: PTH118  (a Path costs 3 µs more)


@dataclass(frozen=True)
class MemberPlaces:
    """Members of large files, such as tar files: of each sample the number of its file, offset and size in bytes."""

    files: tuple[str, ...]
    file: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    names: Sequence[str]
    """What messages call each member."""
    stored: Stored | None = None
    """The members in the order in which they are stored, if that is known."""

    def __getitem__(self, index: int) -> Place:
        """The member of sample `index`."""
        file = self.files[self.file.item(index)]
        return Place(file, self.offset.item(index), self.size.item(index), self.names[index])

    def at(self, indices: Indices) -> list[Place]:
        """The members of the samples at `indices`."""
        columns = (self.file[indices].tolist(), self.offset[indices].tolist(), self.size[indices].tolist())
        named = zip(*columns, names_at(self.names, indices), strict=True)
        return [Place(self.files[file], offset, size, name) for file, offset, size, name in named]

    def select(self, indices: Indices) -> Self:
        """The members of the samples at `indices`."""
        spans = self.spans().take(indices)
        names = select_ids(self.names, indices)
        return replace(self, file=spans.file, offset=spans.offset, size=spans.size, names=names, stored=None)

    def spans(self) -> Spans:
        """The parts of the files."""
        return Spans(self.files, self.file, self.offset, self.size, self.stored)
