"""Some samples of a source, as a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runner.batch import Array, ArraySpec, Indices
from runner.data.ids import select_ids
from runner.data.labels import Labels
from runner.data.source import FileSource, Source, has_files, read_many


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
