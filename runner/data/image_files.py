"""Image files as samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from runner.batch import Array, ArraySpec
from runner.data.labels import Labels
from runner.images.reader import ImageReader


@dataclass(frozen=True)
class ImageFiles:
    """Images below one folder; a sample's id is its path relative to that folder, with forward slashes.

    An absolute path is taken as it is.
    """

    folder: Path
    ids: Sequence[str]
    labels: Labels
    reader: ImageReader

    @property
    def spec(self) -> ArraySpec:
        """Shape `(height, width, channels)` and dtype, uint8 unless the files are 16-bit."""
        return self.reader.spec

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, index: int) -> Path:
        """The image file of sample `index`."""
        return self.folder / self.ids[index]

    def read(self, index: int, out: Array | None = None) -> Array:
        """The decoded, resized pixels of sample `index`."""
        pixels = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        self._read(index, pixels)
        return pixels

    def read_hashed(self, index: int, out: Array) -> bytes:
        """Read sample `index` into `out`; the digest of its file."""
        return xxhash.xxh3_128_digest(self._read(index, out))

    def _read(self, index: int, out: Array) -> bytes:
        return self.reader.read(os.path.join(self.folder, self.ids[index]), out)  # noqa: PTH118  (a Path costs 3 µs more)
