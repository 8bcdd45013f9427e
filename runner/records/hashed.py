"""Files whose content is noted as they are read for the first time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.batch import Array, Indices
from runner.data.source import FileSource, Source, has_files, read_many
from runner.data.views import Wrapping
from runner.records.contents import Contents, ContentsTable


@dataclass(frozen=True)
class HashedFiles(Wrapping):
    """The samples of `source`; a digest of each one's file goes to `table`, once."""

    source: FileSource
    table: ContentsTable

    def path(self, index: int) -> Path:
        """The file of sample `index`."""
        return self.source.path(index)

    def read(self, index: int, out: Array | None = None) -> Array:
        """The array of sample `index`."""
        values = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        self.read_many(np.array([index]), values[None])
        return values

    def read_many(self, indices: Indices, out: Array) -> None:
        """Read the samples at `indices` into the rows of `out`."""
        known = self.table.are_known(indices)
        if known.all():
            read_many(self.source, indices, out)
            return
        for row, index in enumerate(indices.tolist()):
            if known[row]:
                self.source.read(index, out[row])
            elif (digest := self.source.read_hashed(index, out[row])) is not None:
                self.table.note(index, self.source.ids[index], digest)

    def read_hashed(self, index: int, out: Array) -> bytes | None:
        """Read sample `index` into `out`; the digest of its file."""
        return self.source.read_hashed(index, out)


def with_contents(source: Source, contents: Contents | None, split: str) -> Source:
    """`source`, whose files are noted in the table of its split; as it is if nobody asks, or it has no files."""
    if contents is None or not has_files(source):
        return source
    return HashedFiles(source, contents.table(split, len(source)))
