"""The bytes of a window of blocks in memory: read from large files, and taken sample by sample without a copy."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from runner.batch import Indices
from runner.place import Place, open_file
from runner.shared_memory import SharedArray

PIECE_BYTES = 1 << 24
"""The most bytes of one call: a reader that is stopped ends after the call, a tenth of a second on a spinning disk."""


@dataclass(frozen=True)
class Runs:
    """Parts of files in the buffers: a row of `table` has the number of the file, begin, end, buffer, and begin there.

    Worker processes get them by pickle, and have the buffers already.
    """

    files: tuple[str, ...]
    table: Indices


class WindowBytes:
    """The bytes of samples in some parts of files; other samples have none here."""

    def __init__(self, runs: Sequence[Runs], buffers: Sequence[SharedArray]) -> None:
        self.runs, self._buffers = runs, [shared.array.data for shared in buffers]

    @cached_property
    def _by_file(self) -> dict[str, tuple[list[int], list[tuple[int, int, int]]]]:
        """Of each file where its parts begin, and of each of these parts the end, the buffer, and the begin there."""
        found: dict[str, tuple[list[int], list[tuple[int, int, int]]]] = {}
        rows = sorted((runs.files[row[0]], *row[1:]) for runs in self.runs for row in runs.table.tolist())
        for file, begin, *rest in rows:
            begins, others = found.setdefault(file, ([], []))
            begins.append(begin)
            others.append(tuple(rest))
        return found

    def get(self, place: Place) -> memoryview | None:
        """The bytes of `place`, which stay as they are until the batch is read; None if they are not here."""
        if place.size is None or (found := self._by_file.get(place.file)) is None:
            return None
        number = bisect_right(found[0], place.offset) - 1
        if number < 0:
            return None
        end, buffer, at = found[1][number]
        if place.offset + place.size > end:
            return None
        start = at + place.offset - found[0][number]
        return self._buffers[buffer][start : start + place.size]


class PartReader:
    """Reads parts of files one after another into a buffer, as long as `goes_on`, which is called before each call."""

    def __init__(self, number: int, memory: memoryview, goes_on: Callable[[], bool]) -> None:
        self._number, self._memory, self._goes_on = number, memory, goes_on
        self._at = 0
        self._files: dict[str, int] = {}
        self._rows: list[tuple[int, int, int, int, int]] = []

    def read(self, file: str, begin: int, end: int) -> None:
        """Read a part of a file, as far as it can be read: samples that are missing here are read by themselves."""
        got = self._fill(file, begin, self._memory[self._at : self._at + end - begin])
        if got:
            number = self._files.setdefault(file, len(self._files))
            self._rows.append((number, begin, begin + got, self._number, self._at))
            self._at += got

    def _fill(self, file: str, offset: int, memory: memoryview) -> int:
        got = 0
        try:
            descriptor, _ = open_file(file)
            try:
                os.posix_fadvise(descriptor, offset, len(memory), os.POSIX_FADV_SEQUENTIAL)
                while got < len(memory) and self._goes_on():
                    more = os.preadv(descriptor, (memory[got : got + PIECE_BYTES],), offset + got)
                    if not more:
                        break
                    got += more
            finally:
                os.close(descriptor)
        except (OSError, ValueError):  # the samples' own reads say what is wrong with each of them
            pass
        return got

    def runs(self) -> Runs:
        """The parts that were read."""
        return Runs(tuple(self._files), np.array(self._rows, np.int64).reshape(-1, 5))
