"""The samples of one split in tar files: their members by suffix, and their labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.batch import Indices
from runner.data.ids import Ids
from runner.data.places import MemberPlaces
from runner.data.tar_index import TarIndex, indexed
from runner.data.tar_labels import label_texts
from runner.errors import DataError
from runner.messages import first_few, plural


@dataclass(frozen=True)
class TarShards:
    """The tar files of a split, and the index of each."""

    split: str
    files: tuple[Path, ...]
    indices: tuple[TarIndex, ...]

    @classmethod
    def open(cls, split: str, files: tuple[Path, ...], index_dir: Path | None) -> TarShards:
        """Index `files`. Raises `DataError` if one of them cannot be indexed, or there are no samples."""
        shards = cls(split, files, tuple(indexed(file, index_dir) for file in files))
        if not len(shards.keys):
            raise DataError(f"{files[0]} must hold samples, members such as 12.jpg and 12.cls, got none")
        return shards

    @cached_property
    def keys(self) -> Ids:
        """The keys of all samples, which are their ids."""
        return Ids(chain.from_iterable(index.keys for index in self.indices))

    @cached_property
    def suffixes(self) -> tuple[str, ...]:
        """All suffixes of members, in the order in which they first occur."""
        return tuple(dict.fromkeys(chain.from_iterable(index.suffixes for index in self.indices)))

    def members(self, suffixes: Sequence[str], what: str) -> MemberPlaces:
        """The member of each sample with one of `suffixes`. Raises `DataError` for a sample with none, or several."""
        files: list[NDArray[np.int32]] = []
        offsets: list[NDArray[np.int64]] = []
        sizes: list[NDArray[np.int64]] = []
        for number, index in enumerate(self.indices):
            wanted = [place for place, suffix in enumerate(index.suffixes) if suffix in suffixes]
            chosen = np.flatnonzero(np.isin(index.suffix, wanted))
            self._refuse_not_one(number, index.sample[chosen].astype(np.int64), suffixes, what)
            files.append(np.full(len(chosen), number, np.int32))
            offsets.append(index.offset[chosen])
            sizes.append(index.size[chosen])
        columns = np.concatenate(files), np.concatenate(offsets), np.concatenate(sizes)
        return MemberPlaces(tuple(map(str, self.files)), *columns, self.keys)

    def _refuse_not_one(self, number: int, samples: Indices, suffixes: Sequence[str], what: str) -> None:
        keys = self.indices[number].keys
        counts = np.bincount(samples, minlength=len(keys))
        if (counts == 1).all():
            return
        wrong = int(np.flatnonzero(counts != 1)[0])
        has = "none" if counts[wrong] == 0 else f"{counts[wrong]}"
        fix = f"; name one suffix with data.{what}" if counts[wrong] else ""
        raise DataError(
            f"{self.files[number]}: sample {keys[wrong]} must have one {what}, a member {' or '.join(suffixes)}, got "
            f"{has}{fix}"
        )

    def labels(self, suffix: str, key: str | None) -> list[str]:
        """The label of each sample as text."""
        found = (label_texts(*pair, suffix, key) for pair in zip(self.files, self.indices, strict=True))
        return list(chain.from_iterable(found))

    def notes(self, read: Iterable[str | None]) -> Iterator[str]:
        """Notes on members that are not read."""
        left_out = sum(index.left_out for index in self.indices)
        if left_out:
            are = "is" if left_out == 1 else "are"
            yield f"{plural(left_out, 'member')} of the {self.split} shards without a suffix, or hidden, {are} left out"
        if unread := [suffix for suffix in self.suffixes if suffix not in set(read)]:
            yield f"members that are not read in the {self.split} shards: {first_few(unread)}"


def refuse_repeated(splits: Iterable[TarShards]) -> None:
    """Raise `DataError` for a key that several files have: keys are the ids of samples, and ids are unique."""
    every = list(splits)
    if not (repeated := Ids(chain.from_iterable(shards.keys for shards in every)).repeated()):
        return
    pairs = [pair for shards in every for pair in zip(shards.files, shards.indices, strict=True)]
    files = [str(file) for file, index in pairs if repeated[0] in index.keys]
    raise DataError(
        f"each sample must have a key of its own, got {first_few(repeated)} more than once; {repeated[0]} is in "
        f"{first_few(files)}"
    )
