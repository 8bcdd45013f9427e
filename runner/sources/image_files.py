"""Image files as samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.images.reader import ImageReader
from runner.labels import Labels
from runner.samples import Array, ArraySpec


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
        self.reader.read(os.path.join(self.folder, self.ids[index]), pixels)  # noqa: PTH118  (a Path costs 3 µs more)
        return pixels
