"""Buckets: encoded samples on disk, each file for a range of hashes and small enough to be sorted in memory."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from runner.batch import Array
from runner.packs.encoders import Content

WHOLE = "whole"
"""The file that says that all buckets are written; it holds their number."""


class EncodedSample(NamedTuple):
    """A sample as it is packed: its row in the split, and its members."""

    row: int
    contents: tuple[Content, ...]


@dataclass(frozen=True)
class Buckets:
    """Samples in `count` files, in the order of their hashes from file to file."""

    folder: Path
    hashes: Array
    """The hash of each row, shape `(num_samples,)`, uint64."""
    num_fields: int
    count: int
    buffer_bytes: int
    """Bytes that are collected for a bucket before they are written: a disk seeks once for them."""

    @staticmethod
    def count_in(folder: Path) -> int:
        """The number of buckets that an earlier pack has filled in `folder`; 0 if it has not filled all."""
        file = folder / WHOLE
        return int(file.read_text()) if file.exists() else 0

    def are_whole(self) -> bool:
        """Whether an earlier pack has written all samples to as many buckets."""
        return self.count_in(self.folder) == self.count

    def fill(self, samples: Iterable[EncodedSample]) -> None:
        """Write all samples, in place of what there is."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        waiting = [bytearray() for _ in range(self.count)]
        for sample in samples:
            bucket = self.bucket_of(sample.row)
            self._append(waiting[bucket], sample)
            if len(waiting[bucket]) >= self.buffer_bytes:
                self._flush(bucket, waiting[bucket])
        for bucket, data in enumerate(waiting):
            self._flush(bucket, data)
        (self.folder / WHOLE).write_text(str(self.count))

    def bucket_of(self, row: int) -> int:
        """The bucket of a row."""
        return (int(self.hashes[row]) * self.count) >> 64

    def read(self, bucket: int) -> list[EncodedSample]:
        """The samples of a bucket in the order of the pack."""
        file = self._file(bucket)
        data = memoryview(file.read_bytes() if file.exists() else b"")
        return sorted(self._parse(data), key=lambda sample: (int(self.hashes[sample.row]), sample.row))

    def remove_before(self, bucket: int) -> None:
        """Remove the buckets before this one, whose samples are in the pack."""
        for number in range(bucket - 1, -1, -1):
            if not self._file(number).exists():  # removed before, or empty: the others end with the folder
                return
            self._file(number).unlink()

    def remove(self) -> None:
        """Remove all buckets."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, bucket: int) -> Path:
        return self.folder / f"{bucket:05}"

    @property
    def _frame(self) -> struct.Struct:
        return struct.Struct("<q" + "q8s" * self.num_fields)

    def _append(self, data: bytearray, sample: EncodedSample) -> None:
        fields = [part for one in sample.contents for part in (len(one.data), one.suffix.encode())]
        data += self._frame.pack(sample.row, *fields)
        for one in sample.contents:
            data += one.data

    def _flush(self, bucket: int, data: bytearray) -> None:
        if data:
            with self._file(bucket).open("ab") as file:
                file.write(data)
            data.clear()

    def _parse(self, data: memoryview) -> Iterator[EncodedSample]:
        start, frame = 0, self._frame
        while start < len(data):
            row, *fields = frame.unpack_from(data, start)
            start += frame.size
            contents = []
            for size, suffix in zip(fields[::2], fields[1::2], strict=True):
                contents.append(Content(data[start : start + size], suffix.rstrip(b"\0").decode()))
                start += size
            yield EncodedSample(row, tuple(contents))
