"""The role of a decoder: what turns an image file into a sample's array."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from runner.batch import Array, ArraySpec


class ImageReader(Protocol):
    """Reads image files to arrays of one shape; frozen, picklable, shared freely by threads.

    A file gives the same pixels in every thread and process, whatever was read before it.
    """

    @property
    def spec(self) -> ArraySpec:
        """Shape `(height, width, channels)`; uint8 in 0..255, or float32 in 0..1 for 16-bit images."""

    def read(self, path: Path | str, out: Array) -> bytes:
        """Writes the image of `path` into `out`, a C-contiguous array of `spec`'s shape and dtype; the file's bytes.

        Raises `BadSampleError`, with the path and the reason, for a file that is missing, empty,
        damaged or no image.
        """
