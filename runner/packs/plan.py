"""The plan of a pack: what is packed, the bytes it takes, and how the order of each split is made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import xxhash

from runner.data.dataset import Dataset, RecordedDigest, no_digest
from runner.data.labels import heads_document
from runner.data.pack_format import BLOCK, VERSION, PackField
from runner.data.source import Source
from runner.errors import DataError
from runner.machine import available_bytes
from runner.messages import format_bytes
from runner.packs.buckets import Buckets
from runner.packs.encoders import Encoder, encoder_for
from runner.packs.folder import PackFolder
from runner.packs.order import BucketOrder, KeptOrder, MemoryOrder, PhysicalOrder, Read, hashes_of, id_bytes
from runner.packs.settings import PackSettings
from runner.place import Place
from runner.records.digests import data_fingerprint

IN_MEMORY = 256 << 20
"""Bytes of a split up to which it is sorted in memory."""
MOST_BUCKET = 8 << 30
"""The most bytes of a bucket, which is read at once."""
MOST_BUFFER = 8 << 20
"""The most bytes that wait for a bucket; as many seeks less."""
MEMORY_SHARE = 4
"""A bucket takes at most this part of the free memory, one in four, and so do all buffers together."""

DESCRIPTION = 2 * BLOCK
"""Bytes that the JSON of a sample takes in a shard, as a rule."""
INDEX_BYTES = 256
"""Bytes of a sample in the index and its parts, as a rule."""

OF_THE_RUN = ("augment", "transform", "transform_on", "scale", "on_bad", "max_bad", "share")
"""Keys of data that say nothing about what is packed: they are those of each run that reads it."""


@dataclass(frozen=True)
class PackPlan:
    """A dataset, how its samples are encoded, and the bytes of its files or arrays by split."""

    settings: PackSettings
    folder: Path
    dataset: Dataset
    data: Mapping[str, Any]
    """The `data` settings."""
    encoder: Encoder
    fields: tuple[PackField, ...]
    num_bytes: Mapping[str, int]
    state: str

    @classmethod
    def of(
        cls,
        settings: PackSettings,
        folder: Path,
        dataset: Dataset,
        data: Mapping[str, Any],
        recorded: RecordedDigest = no_digest,
    ) -> PackPlan:
        """The plan for a dataset; asks for the size of each file. Raises `DataError` if it cannot be packed so.

        Bytes that are copied must have the digests that `recorded` gives.
        """
        encoder, fields = encoder_for(settings, data["kind"], dataset, recorded)
        num_bytes = {split: _source_bytes(source, settings) for split, source in dataset.splits.items()}
        state = data_fingerprint(dataset.stat())
        return cls(settings, folder, dataset, data, encoder, fields, num_bytes, state)

    @property
    def num_samples(self) -> int:
        """Samples of all splits."""
        return sum(map(len, self.dataset.splits.values()))

    @property
    def total_bytes(self) -> int:
        """Bytes of the files, or arrays, of all splits."""
        return sum(self.num_bytes.values())

    @property
    def pack_bytes(self) -> int:
        """Bytes of the pack, nearly; JPEG images are taken for as large as their files."""
        members = self.num_samples * (len(self.fields) * (BLOCK + BLOCK // 2) + DESCRIPTION + INDEX_BYTES)
        return self.total_bytes + members

    @property
    def needed_bytes(self) -> int:
        """Bytes on the disk while it is written: of the pack, and of a split and a bucket that are being sorted."""
        sorted_on_disk = [num_bytes for split, num_bytes in self.num_bytes.items() if self.passes(split) == 2]
        return self.pack_bytes + max(sorted_on_disk, default=0)

    def passes(self, split: str) -> int:
        """How many times the samples of a split are handled."""
        return 2 if self.settings.order == "shuffled" and self.num_bytes[split] > IN_MEMORY else 1

    @property
    def num_reads(self) -> int:
        """Samples that are handled in all passes."""
        return sum(self.passes(split) * len(source) for split, source in self.dataset.splits.items())

    def pack_folder(self) -> PackFolder:
        """The folder for this pack, and no other."""
        digest = xxhash.xxh3_128()
        for name in chain.from_iterable(source.ids for source in self.dataset.splits.values()):
            digest.update(id_bytes(name) + b"\0")
        identity = {
            "version": VERSION,
            **self.settings.model_dump(include={"encode", "order", "seed", "shard_mb"}),
            "samples": {split: len(source) for split, source in self.dataset.splits.items()},
            "ids": digest.hexdigest(),
            "heads": heads_document(self.dataset.heads),
            "fields": [vars(field) for field in self.fields],
            "data": {key: value for key, value in self.data.items() if key not in OF_THE_RUN},
        }
        return PackFolder(self.folder, identity, self.state)

    def order(self, split: str, read: Read) -> PhysicalOrder:
        """The order of the samples of a split, which `read` reads."""
        if self.settings.order == "kept":
            return KeptOrder(read)
        hashes = hashes_of(self.dataset.splits[split].ids, self.settings.seed)
        if self.passes(split) == 1:
            return MemoryOrder(read, hashes)
        share = available_bytes() // MEMORY_SHARE
        count = self._num_buckets(split, share)
        buffer = min(MOST_BUFFER, share // count)
        return BucketOrder(read, Buckets(self.folder / f".buckets-{split}", hashes, len(self.fields), count, buffer))

    def _num_buckets(self, split: str, share: int) -> int:
        """Buckets of a split; as many as there are already, if an earlier pack has filled them."""
        there = Buckets.count_in(self.folder / f".buckets-{split}")
        return there or -(-self.num_bytes[split] // max(1, min(MOST_BUCKET, share)))

    def refuse_full_disk(self) -> int:
        """Free bytes of the disk. Raises `DataError` if the pack needs more than is free or taken by its beginning."""
        parent = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists())
        free = shutil.disk_usage(parent).free
        there = sum(file.stat().st_size for file in _files(self.folder))
        if self.needed_bytes > free + there:
            copies = "; pack.order=kept needs no second copy" if self.needed_bytes > self.pack_bytes else ""
            raise DataError(
                f"pack.to={self.folder} needs {format_bytes(self.needed_bytes)} of disk, but only {format_bytes(free)} "
                f"are free there; free some, or choose a folder on another disk{copies}"
            )
        return free


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file()) if folder.exists() else iter(())


def _source_bytes(source: Source, settings: PackSettings) -> int:
    """Bytes of what is packed of a source; missing files count as none."""
    if settings.kind == "npy" or not source.has_bytes:
        return len(source) * source.spec.num_bytes
    return sum(_size(place) for index in range(len(source)) for place in source.places(index))


def _size(place: Place) -> int:
    try:
        return place.stat()[0]
    except (OSError, ValueError):
        return 0
