"""The order of a pack: that of the data, or by a hash of the ids, made without reading any file out of order.

Files on a disk that seeks slowly are read in the order of the data. Samples that fit in memory are sorted there. Of
others a first pass fills buckets, and a second one sorts bucket after bucket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from runner.batch import Array, Indices
from runner.data.ids import names_at
from runner.errors import DataError
from runner.packs.buckets import Buckets, EncodedSample

CHUNK = 1 << 16
"""Ids that are Python strings at one time."""
FIRST = -1
"""Stands for the row before the first."""

OnSample = Callable[[EncodedSample], None]
Read = Callable[[int], Iterator[EncodedSample]]
"""Reads and encodes the samples from a row on, in the order of the data, without those that cannot be read."""


def id_bytes(name: str) -> bytes:
    r"""The bytes of an id; those of a file name that is no UTF-8 are as on disk.

    >>> id_bytes("caf\udce9")
    b'caf\xe9'
    """
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise DataError(f"the id {name!r} holds half of a surrogate pair, which no index can store") from error


def hashes_of(ids: Sequence[str], seed: int) -> Array:
    """XXH3-64 of each id with `seed`, shape `(n,)`, uint64; never changes between versions.

    >>> hashes_of(["a", "b"], 0).tolist()
    [16629034431890738719, 6294355645245719615]
    """
    hashes = np.empty(len(ids), np.uint64)
    for start in range(0, len(ids), CHUNK):
        names = names_at(ids, np.arange(start, min(start + CHUNK, len(ids))))
        values = (xxhash.xxh3_64_intdigest(id_bytes(name), seed) for name in names)
        hashes[start : start + len(names)] = np.fromiter(values, np.uint64, len(names))
    return hashes


def by_hash(hashes: Array) -> Indices:
    """The rows in the order of their hashes; equal ones in the order of the rows."""
    return np.argsort(hashes, kind="stable")


class PhysicalOrder(ABC):
    """The samples of a split in the order in which its shards hold them."""

    passes = 1
    """How many times samples are handled."""

    @abstractmethod
    def samples(self, last: int, on_sample: OnSample) -> Iterator[EncodedSample]:
        """The samples after row `last`, which is packed; after `FIRST`, all. Calls `on_sample` in each pass."""

    def handled(self, total: int, packed: int) -> int:
        """Samples, of all passes over `total`, that need not be handled, because `packed` of them are in shards."""
        return packed

    def finish(self, last: int) -> None:  # noqa: B027  (most orders have nothing to do)
        """Note that a shard is whole, whose last sample is row `last`."""

    def close(self) -> None:  # noqa: B027
        """Remove what is needed no more, once all samples are packed."""


@dataclass(frozen=True)
class KeptOrder(PhysicalOrder):
    """The order of the data."""

    read: Read

    def samples(self, last: int, on_sample: OnSample) -> Iterator[EncodedSample]:
        """Read the samples after row `last`."""
        for sample in self.read(last + 1):
            on_sample(sample)
            yield sample


@dataclass(frozen=True)
class MemoryOrder(PhysicalOrder):
    """The order of `hashes`, of samples that are in memory together."""

    read: Read
    hashes: Array

    def handled(self, total: int, packed: int) -> int:
        """None: all samples are read once more."""
        return 0

    def samples(self, last: int, on_sample: OnSample) -> Iterator[EncodedSample]:
        """Read all samples, then give those after row `last`."""
        found = {}
        for sample in self.read(0):
            on_sample(sample)
            found[sample.row] = sample
        rows = by_hash(self.hashes).tolist()
        for row in rows[rows.index(last) + 1 :] if last != FIRST else rows:
            if row in found:
                yield found.pop(row)


@dataclass(frozen=True)
class BucketOrder(PhysicalOrder):
    """The order of the hashes of `buckets`, which lie on disk."""

    read: Read
    buckets: Buckets

    passes = 2

    def samples(self, last: int, on_sample: OnSample) -> Iterator[EncodedSample]:
        """Fill the buckets, unless they are there, and sort those from row `last` on."""
        if not self.buckets.are_whole():
            self.buckets.fill(self._counted(self.read(0), on_sample))
        first = 0 if last == FIRST else self.buckets.bucket_of(last)
        after = (-1, FIRST) if last == FIRST else self._key(last)
        for bucket in range(first, self.buckets.count):
            for sample in self.buckets.read(bucket):
                if self._key(sample.row) > after:
                    on_sample(sample)
                    yield sample

    def handled(self, total: int, packed: int) -> int:
        """Those of the first pass, too, if its buckets are there."""
        return packed + (total if self.buckets.are_whole() else 0)

    def finish(self, last: int) -> None:
        """Remove the buckets whose samples are all in shards."""
        self.buckets.remove_before(self.buckets.bucket_of(last))

    def close(self) -> None:
        """Remove all buckets."""
        self.buckets.remove()

    def _key(self, row: int) -> tuple[int, int]:
        return int(self.buckets.hashes[row]), row

    @staticmethod
    def _counted(samples: Iterator[EncodedSample], on_sample: OnSample) -> Iterator[EncodedSample]:
        for sample in samples:
            on_sample(sample)
            yield sample
