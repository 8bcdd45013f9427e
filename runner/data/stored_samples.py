"""Samples whose bytes are stored: images, `.npy` files, in files of their own or in large ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.data.ids import select_ids
from runner.data.labels import Labels
from runner.data.places import FilePlaces, Places, Spans
from runner.data.source import Source
from runner.images.decoder import Decoder
from runner.place import Place


@dataclass(frozen=True)
class StoredSamples(Source):
    """Samples whose bytes are at `stored`; `decoder` turns them into arrays."""

    stored: Places
    ids: Sequence[str]
    labels: Labels
    decoder: Decoder

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of what the decoder makes of the bytes."""
        return self.decoder.spec

    def places(self, index: int) -> tuple[Place]:
        """Where the bytes of sample `index` are."""
        return (self.stored[index],)

    def spans(self) -> Spans | None:
        """The parts of large files; None if each sample is a file."""
        return self.stored.spans()

    def read(self, index: int, out: Array | None = None) -> Array:
        """Read sample `index`."""
        values = np.empty(self.spec.shape, self.spec.dtype) if out is None else out
        self.decoder.read(self.stored[index], values)
        return values

    def read_many(self, indices: Indices, out: Array) -> None:
        """Read the samples at `indices` into the rows of `out`."""
        self.decoder.read_many(self.stored.at(indices), out)

    def read_hashed(self, index: int, out: Array) -> bytes:
        """Read sample `index` into `out`; return the digest of its bytes."""
        import xxhash  # late: a configuration that is wrong needs none

        digest = xxhash.xxh3_128()
        for part in self.decoder.read(self.stored[index], out):
            digest.update(part)
        return digest.digest()

    def select(self, indices: Indices) -> StoredSamples:
        """The samples at `indices`, in that order."""
        stored = self.stored.select(indices)
        ids = stored.names if self.stored.names is self.ids else select_ids(self.ids, indices)
        return replace(self, stored=stored, ids=ids, labels=self.labels.take(indices))


def file_samples(folder: Path, ids: Sequence[str], labels: Labels, decoder: Decoder, suffix: str = "") -> StoredSamples:
    """Samples that are the files `folder/ID` followed by `suffix`; an absolute id stays as it is."""
    return StoredSamples(FilePlaces(folder, ids, suffix), ids, labels, decoder)
