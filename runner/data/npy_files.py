"""Samples that are an `.npy` file each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from runner.batch import Array, ArraySpec, Indices
from runner.data.ids import names_at
from runner.data.labels import Labels
from runner.data.npy_format import NpyReader


@dataclass(frozen=True)
class NpyFiles:
    """Arrays below one folder; sample `a/b` is the file `a/b.npy`."""

    folder: Path
    ids: Sequence[str]
    labels: Labels
    reader: NpyReader

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of the first file; float64 becomes float32."""
        return self.reader.spec

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, index: int) -> Path:
        """The file of sample `index`."""
        return self.folder / f"{self.ids[index]}.npy"

    def read(self, index: int, out: Array | None = None) -> Array:
        """The values of sample `index`."""
        values = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        self.reader.read(f"{self.folder}/{self.ids[index]}.npy", values)
        return values

    def read_hashed(self, index: int, out: Array) -> bytes:
        """Read sample `index` into `out`; the digest of its file."""
        header, values = self.reader.read(f"{self.folder}/{self.ids[index]}.npy", out)
        digest = xxhash.xxh3_128(header)
        digest.update(values)
        return digest.digest()

    def read_many(self, indices: Indices, out: Array) -> None:
        """The values of the samples at `indices`, in the rows of `out`."""
        folder = self.folder
        self.reader.read_many([f"{folder}/{name}.npy" for name in names_at(self.ids, indices)], out)
