"""Several sources, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.data.ids import Ids
from runner.data.labels import Labels
from runner.data.source import FileSource, Source, has_files


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
