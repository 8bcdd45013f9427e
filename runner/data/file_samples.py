"""Samples that are one file each: images, `.npy` files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xxhash

from runner.batch import Array, ArraySpec, Indices
from runner.data.ids import names_at, select_ids
from runner.data.labels import Labels
from runner.data.source import Source
from runner.images.reader import FileReader


@dataclass(frozen=True)
class FileSamples(Source):
    """Files below `folder`. The path of a sample is `folder/ID` followed by `suffix`; an absolute id stays as it is."""

    folder: Path
    ids: Sequence[str]
    labels: Labels
    reader: FileReader
    suffix: str = ""

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of what the reader makes of a file."""
        return self.reader.spec

    def path(self, index: int) -> Path:
        """The file of sample `index`."""
        return Path(self.file(index))

    def file(self, index: int) -> str:
        """The file of sample `index` as text."""
        return self._file(self.ids[index])

    def read(self, index: int, out: Array | None = None) -> Array:
        """Read the file of sample `index`."""
        values = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        self.reader.read(self._file(self.ids[index]), values)
        return values

    def read_many(self, indices: Indices, out: Array) -> None:
        """Read the files of the samples at `indices` into the rows of `out`."""
        self.reader.read_many([self._file(name) for name in names_at(self.ids, indices)], out)

    def read_hashed(self, index: int, out: Array) -> bytes:
        """Read the file of sample `index` into `out`; return its digest."""
        digest = xxhash.xxh3_128()
        for part in self.reader.read(self._file(self.ids[index]), out):
            digest.update(part)
        return digest.digest()

    def select(self, indices: Indices) -> FileSamples:
        """The samples at `indices`, in that order."""
        return replace(self, ids=select_ids(self.ids, indices), labels=self.labels.take(indices))

    def _file(self, name: str) -> str:
        return os.path.join(self.folder, name) + self.suffix  # noqa: PTH118  (a Path costs 3 µs more)
