"""The role every source plays, whatever its samples are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeGuard

from runner.batch import Array, ArraySpec, Indices
from runner.data.labels import Labels


class Source(Protocol):
    """Where samples live. The same index always gives the same sample.

    A source that reads several samples quicker than one after the other has `read_many(indices, out)` beside `read`,
    which writes their arrays into the rows of `out`, shape `(len(indices), *spec.shape)`.

    A source travels to worker processes by pickle: it holds tables and settings, never open files, and never
    imports Keras or TensorFlow.
    """

    @property
    def ids(self) -> Sequence[str]:
        """The samples' stable names, by index."""

    @property
    def labels(self) -> Labels:
        """The samples' labels, by index."""

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of every sample's array."""

    def __len__(self) -> int: ...

    def read(self, index: int, out: Array | None = None) -> Array:
        """The array of sample `index`, written into `out` where given (of `spec`'s shape and dtype).

        Raises `BadSampleError` with the file's path if it cannot be read.
        """


class FileSource(Source, Protocol):
    """A source with one file per sample."""

    def path(self, index: int) -> Path:
        """The file of sample `index`."""

    def read_hashed(self, index: int, out: Array) -> bytes | None:
        """As `read`; the XXH3-128 of the bytes of its file as they were read, None where they are not seen."""


def has_files(source: Source) -> TypeGuard[FileSource]:
    """Whether `source` has one file per sample."""
    return callable(getattr(source, "path", None))


def read_many(source: Source, indices: Indices, out: Array) -> None:
    """Read the samples at `indices` into the rows of `out`, by the source's own `read_many` where it has one."""
    if callable(many := getattr(source, "read_many", None)):
        many(indices, out)
        return
    for row, index in enumerate(indices.tolist()):
        source.read(index, out[row])
