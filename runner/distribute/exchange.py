"""What the ranks of a group find each for itself, handed to rank 0 in files."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from runner.distribute.rank_files import HANDED_IN, RANKS, error_file, error_of
from runner.distribute.ranks import ALONE, Rank
from runner.errors import LostRankError
from runner.records.files import replacing, write_atomically

WATCH_SECONDS = 0.02

Made = TypeVar("Made")


def rank_folders(run: Path) -> list[Path]:
    """The folders of all ranks but 0 that are in the folder of a run, also of ranks of an earlier attempt."""
    return sorted(folder for folder in (run / RANKS).glob("*") if folder.name.isdecimal())


class Exchange:
    """Hands values of the ranks of a run, which is in `folder`, to rank 0, and those of rank 0 to all, in files.

    All ranks call the same methods in the same order. The files are removed once they are read; alone there are none.
    """

    def __init__(self, rank: Rank = ALONE, folder: Path = Path()) -> None:
        self.rank, self.run = rank, folder
        self._gathered = 0
        self._given: list[int] = []
        """The numbers of files that other ranks read, which stay until all have gathered something."""

    @property
    def own_folder(self) -> Path:
        """The folder of this rank for files of its own: that of the run, or one in it."""
        return self.folder_of(self.rank.number)

    @property
    def other_folders(self) -> list[Path]:
        """The folders of all other ranks."""
        return [self.folder_of(number) for number in range(self.rank.world) if number != self.rank.number]

    def folder_of(self, number: int) -> Path:
        """The folder of a rank."""
        return self.run / RANKS / str(number) if number else self.run

    def gather(self, values: Iterable[Any]) -> Iterator[Any]:
        """In rank 0, `values`, then those of the other ranks, one after the other; in these nothing.

        Raises `LostRankError` in rank 0 if another one has ended with an error.
        """
        self._gathered += 1
        if self.rank.leads:
            return self._all(values, [self._file(number) for number in range(1, self.rank.world)])
        with replacing(self._file(self.rank.number), overwrite=True) as temporary, temporary.open("wb") as file:
            for value in values:
                pickle.dump(value, file)
        return iter(())

    def _all(self, values: Iterable[Any], others: Iterable[Path]) -> Iterator[Any]:
        yield from values
        for file in others:
            yield from self._taken(file)
        for number in self._given:
            for file in (self.run / RANKS).glob(f"*-{number}{HANDED_IN}"):
                file.unlink()
        self._given.clear()

    def once(self, make: Callable[[], Made]) -> Made:
        """What `make` returns, which rank 0 alone calls, in all ranks; its error ends the run."""
        file = self._given_file(0)
        if not self.rank.leads:
            self._await(file)
            value: Made = pickle.loads(file.read_bytes())
            return value
        made = make()
        if self.rank.world > 1:
            write_atomically(file, pickle.dumps(made), overwrite=True)
        return made

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The ranks do the block one after the other, rank 0 first."""
        file = self._given_file(self.rank.number)
        if not self.rank.leads:
            self._await(self._file(self.rank.number - 1))
        yield
        if self.rank.world > 1:
            file.touch()

    def _given_file(self, number: int) -> Path:
        self._gathered += 1
        self._given.append(self._gathered)
        return self._file(number)

    def _file(self, number: int) -> Path:
        return self.run / RANKS / f"{number}-{self._gathered}{HANDED_IN}"

    def _taken(self, file: Path) -> Iterator[Any]:
        """The values in a file of another rank, once it is there."""
        self._await(file)
        with file.open("rb") as opened:
            while True:
                try:
                    value = pickle.load(opened)
                except EOFError:
                    break
                yield value
        file.unlink()

    def _await(self, file: Path) -> None:
        number = int(file.name.partition("-")[0])
        while not file.exists():
            time.sleep(WATCH_SECONDS)
            if error_file(self.run, number).exists() and (error := error_of(self.run, number)) is not None:
                raise LostRankError(f"rank {number}: {error}", error.kind)


WITHOUT_OTHERS = Exchange()
"""The exchange of a process that trains without others."""
