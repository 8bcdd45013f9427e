"""Ids: a sequence of sample ids in little memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

from runner.batch import Indices

CHUNK = 1 << 16
"""Ids that are Python strings at one time while all of them are read."""


class Names(Sequence[str]):
    """A sequence of names that are not Python strings until they are needed."""

    @abstractmethod
    def at(self, indices: Indices) -> list[str]:
        """The names at `indices` as a list, faster than one by one."""

    @abstractmethod
    def one(self, index: int) -> str:
        """The name at `index`."""

    @abstractmethod
    def select(self, indices: Indices | slice) -> Self:
        """The names at `indices`, in that order."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> str | Self:
        return self.select(index) if isinstance(index, slice) else self.one(index)

    def __iter__(self) -> Iterator[str]:
        chunks = (np.arange(start, min(start + CHUNK, len(self))) for start in range(0, len(self), CHUNK))
        return chain.from_iterable(map(self.at, chunks))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # like every mutable or compared sequence

    def __repr__(self) -> str:
        first = ", ".join(map(repr, islice(self, 3)))
        return f"<{len(self):,} ids: {first}{', …' if len(self) > 3 else ''}>"


class Ids(Names):
    """A sequence of ids stored in one text: 16 bytes per id plus its characters.

    As separate strings, ten million short paths would take a gigabyte and be slow to send to workers.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        given, texts, lengths = iter(names), [], [np.zeros(1, np.int64)]
        while chunk := list(islice(given, CHUNK)):
            texts.append("".join(chunk))
            lengths.append(np.fromiter(map(len, chunk), np.int64, len(chunk)))
        edges = np.cumsum(np.concatenate(lengths))
        self._text, self._starts, self._ends = "".join(texts), edges[:-1], edges[1:]

    @classmethod
    def _of(cls, text: str, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Self:
        ids = cls.__new__(cls)
        ids._text, ids._starts, ids._ends = text, starts, ends
        return ids

    @property
    def text(self) -> str:
        """The characters of all ids, one id after the other, of a selection perhaps those of others, too."""
        return self._text

    def select(self, indices: Indices | slice) -> Self:
        """The ids at `indices`, in that order; they share the text."""
        return self._of(self._text, self._starts[indices], self._ends[indices])

    def at(self, indices: Indices) -> list[str]:
        """The ids at `indices` as a list, faster than one by one."""
        text = self._text
        places = zip(self._starts[indices].tolist(), self._ends[indices].tolist(), strict=True)
        return [text[start:end] for start, end in places]

    def repeated(self) -> list[str]:
        """The ids that occur more than once, in the order in which they first occur."""
        hashes = np.fromiter(map(hash, self), np.int64, len(self))
        ordered = np.sort(hashes)
        several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        if not len(several):
            return []
        seen: dict[str, int] = {}
        for name in self.at(np.flatnonzero(np.isin(hashes, several))):  # few; some only share their hash
            seen[name] = seen.get(name, 0) + 1
        return [name for name, count in seen.items() if count > 1]

    def __len__(self) -> int:
        return len(self._starts)

    def one(self, index: int) -> str:
        """The id at `index`."""
        return self._text[self._starts.item(index) : self._ends.item(index)]


@dataclass(frozen=True, eq=False, repr=False)
class EncodedIds(Names):
    r"""Ids whose UTF-8 lies in `data`, dtype uint8: each from one of `starts` to the same of `ends`.

    Bytes that are not UTF-8 become what Python makes of such file names.

    >>> data = np.frombuffer(b"acaf\xc3\xa9\xe9", np.uint8)
    >>> list(EncodedIds(data, np.array([0, 1, 6]), np.array([1, 6, 7])))
    ['a', 'café', '\udce9']
    """

    data: NDArray[np.uint8]
    starts: Indices
    ends: Indices

    def select(self, indices: Indices | slice) -> Self:
        """The ids at `indices`, in that order; they share the data."""
        return replace(self, starts=self.starts[indices], ends=self.ends[indices])

    def at(self, indices: Indices) -> list[str]:
        """The ids at `indices` as a list, faster than one by one."""
        data = self.data.data
        places = zip(self.starts[indices].tolist(), self.ends[indices].tolist(), strict=True)
        return [str(data[start:end], "utf-8", "surrogateescape") for start, end in places]

    def __len__(self) -> int:
        return len(self.starts)

    def one(self, index: int) -> str:
        """The id at `index`."""
        return str(self.data.data[self.starts.item(index) : self.ends.item(index)], "utf-8", "surrogateescape")


def names_at(ids: Sequence[str], indices: Indices) -> list[str]:
    """The ids at `indices`, in that order."""
    return ids.at(indices) if isinstance(ids, Names) else [ids[index] for index in indices.tolist()]


def select_ids(ids: Sequence[str], indices: Indices) -> Sequence[str]:
    """The ids at `indices` as a sequence."""
    return ids.select(indices) if isinstance(ids, Names) else [ids[index] for index in indices.tolist()]


def rows_of(wanted: Sequence[str], ids: Sequence[str]) -> Indices:
    """The index in `ids` of each of the `wanted` ids, all of which are there.

    Sorted hashes take a tenth of the memory of a dict. Where two ids share one, the dict is made after all.

    >>> rows_of(["c", "a"], ["a", "b", "c"]).tolist()
    [2, 0]
    """
    hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
    order = np.argsort(hashes)
    found = np.searchsorted(hashes, np.fromiter(map(hash, wanted), np.int64, len(wanted)), sorter=order)
    rows: Indices = order[np.minimum(found, len(order) - 1)]
    if all(name == other for name, other in zip(wanted, select_ids(ids, rows), strict=True)):
        return rows
    numbers = {name: row for row, name in enumerate(ids)}
    return np.array([numbers[name] for name in wanted], np.int64)
