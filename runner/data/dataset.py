"""The base of every data component, and what it opens.

`data=none`: no data of the runner's, where `loader=custom` makes the batches.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import NonNegativeInt, model_validator

from runner.batch import SPLITS, ArraySpec
from runner.component import Component, Fraction, PositiveInt
from runner.data.labels import Head
from runner.data.source import Source
from runner.data.splits import choose, split_by_fraction
from runner.data.views import relabel, select
from runner.errors import BadSampleError, DataError, UserReadError
from runner.transforms.settings import Augment

Scale = Literal["auto", "none", "unit", "signed"]
OnBadChoice = Literal["raise", "skip", "substitute"]

Opened = TypeVar("Opened")

FIRST = 10
"""Samples that are looked at, at most, for one that can be read."""

MISSING = (-1, -1)
"""The size and time of change of a file that is not there."""


@dataclass(frozen=True)
class ReadyBatches:
    """Batches that the user's own code makes: the `steps` of a pass, by split, and the samples of the largest first."""

    steps: Mapping[str, int]
    size: int


@dataclass(frozen=True)
class Dataset:
    """What a data component opens: one source per split, all of one shape and with one vocabulary.

    `splits` holds only splits with samples, in the order train, validation, test.
    """

    splits: Mapping[str, Source]
    heads: tuple[Head, ...]
    spec: ArraySpec
    """What a sample is like in a batch; unless something changes samples, what every source gives."""
    notes: tuple[str, ...] = ()
    """What a person should know about how the data was taken."""
    files: tuple[Path, ...] = ()
    """Files that hold many samples each, or say what the samples are; empty where every sample is a file that does."""
    batches: ReadyBatches | None = None
    """Where batches come ready-made: then nobody knows how many samples there are, and none can be read by itself."""
    must_be_there: bool = True
    """Whether a sample's file that is missing ends the run at once; else it is one more sample that cannot be read."""

    def stat(self) -> Iterator[tuple[str, int, int]]:
        """Name, size in bytes and time of change in nanoseconds of everything the samples are read from."""
        for source in self.splits.values():
            yield from map(self._stat, source.ids, source.paths())
        yield from (_stat(file.name, file) for file in self.files)

    def _stat(self, name: str, file: Path) -> tuple[str, int, int]:
        try:
            return _stat(name, file)
        except BadSampleError:
            if self.must_be_there:
                raise
            return name, *MISSING


class Data(Component):
    """The keys every data component has."""

    validation_split: Fraction = 0.2
    """Share of the samples held out for validation where the data brings no validation split of its own."""

    test_split: Fraction = 0.0
    """Share of the samples held out for the test where the data brings no test split of its own."""

    split_seed: NonNegativeInt = 0
    """Which samples the held-out shares consist of; independent of `seed`."""

    limit: PositiveInt | None = None
    """How many samples of each split to read at most, for a quick try; a hash of their ids chooses. Null: all."""

    augment: Augment = Augment()
    """How training images are changed at random."""

    transform: str | None = None
    """A function of yours, my_module.f(array, rng) -> array, for every sample read; extensions must list my_module."""

    scale: Scale = "auto"
    """Scaling inside the model: `unit` x/255, `signed` 2(x/255 - 0.5), `auto` unit for 8-bit images, else none."""

    on_bad: OnBadChoice = "raise"
    """What becomes of a sample that cannot be read: `raise` ends the run, `skip` leaves it out of its batch,
    `substitute` trains on another in its place. Outside training both leave it out. bad_samples.csv lists them all."""

    max_bad: NonNegativeInt | None = None
    """How many bad samples `skip` and `substitute` pass over, in all splits together; null: any number."""

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.validation_split + self.test_split >= 1:
            raise ValueError(
                f"validation_split + test_split must be below 1, got {self.validation_split} + {self.test_split}; "
                "nothing would be left to train on"
            )
        return self

    @model_validator(mode="after")
    def _bound_bounds_something(self) -> Self:
        if self.on_bad == "raise" and self.max_bad is not None:
            raise ValueError(
                f"max_bad must be null with on_bad=raise, got {self.max_bad}; set on_bad=skip or on_bad=substitute"
            )
        return self

    def names(self) -> Iterator[tuple[str, str]]:
        """The keys that name code of the user's own, with those names."""
        if self.transform is not None:
            yield "transform", self.transform

    @abstractmethod
    def open(self) -> Dataset:
        """List the samples and tell them apart into splits; reads at most one sample.

        Raises `DataError` if there is nothing to train on.
        """

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """As `open`, with the heads of a model: classes by name get its codes; `heads` is empty without labels.

        Raises `DataError` as `open` does, and where the data has classes or targets the model does not know.
        """
        return in_words_of(heads, self.open())

    def dataset(self, sources: Mapping[str, Source], heads: tuple[Head, ...], files: tuple[Path, ...] = ()) -> Dataset:
        """The splits the data brings as `sources`, and those it does not bring held out of `train` by fraction."""
        shares = {"validation": self.validation_split, "test": self.test_split}
        missing = {split: 0.0 if split in sources else share for split, share in shares.items()}
        parts = split_by_fraction(sources["train"].ids, **missing, seed=self.split_seed)
        held_out = {split: select(sources["train"], indices) for split, indices in parts.items() if len(indices)}
        if "train" not in held_out:
            raise DataError(f"no samples are left to train on: {_shares(missing)} of {len(sources['train'])} samples")
        splits = {**sources, **held_out}
        notes = tuple(
            f"data.{split}_split={share} of {len(sources['train'])} samples took none: there is no {split} split"
            for split, share in missing.items()
            if share and split not in splits
        ) + tuple(
            f"the {split} data holds no samples: there is no {split} split"
            for split, source in sources.items()
            if not len(source)
        )
        ordered = {split: splits[split] for split in SPLITS if split in splits and len(splits[split])}
        limited = {split: self._limited(source) for split, source in ordered.items()}
        notes += tuple(
            f"data.limit={self.limit} leaves {len(limited[split]):,} of {len(source):,} {split} samples"
            for split, source in ordered.items()
            if len(limited[split]) < len(source)
        )
        return Dataset(limited, heads, sources["train"].spec, notes, files, must_be_there=self.on_bad == "raise")

    def _limited(self, source: Source) -> Source:
        if self.limit is None or len(source) <= self.limit:
            return source
        return select(source, choose(source.ids, self.limit, self.split_seed))

    def first_readable(self, read: Callable[[int], Opened], indices: Iterable[int]) -> Opened:
        """What `read` makes of the first sample that can be read: what that is like, all are.

        Raises `BadSampleError` for a bad sample that ends the run, and where none of the first `FIRST` can be read.
        """
        *others, last = islice(indices, 1 if self.on_bad == "raise" else FIRST)
        for index in others:
            try:
                return read(index)
            except UserReadError:
                raise
            except BadSampleError:
                continue
        return read(last)

    def array_settings(self) -> Mapping[str, Any] | None:
        """The settings that decide, beside a sample's file, what its array holds; None if there is more to it."""
        return None

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The keys whose paths do not exist, with those paths."""
        return iter(())


def in_words_of(heads: tuple[Head, ...], dataset: Dataset) -> Dataset:
    """`dataset` with the heads of a model in place of its own; `heads` stays empty where it has no labels."""
    splits = {split: relabel(source, heads) for split, source in dataset.splits.items()}
    return replace(dataset, splits=splits, heads=heads if dataset.heads else ())


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"data.{split}_split={share}" for split, share in shares.items())


def _stat(name: str, file: Path) -> tuple[str, int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise BadSampleError(
            str(file), "no such file" if isinstance(error, FileNotFoundError) else str(error)
        ) from error
    return name, status.st_size, status.st_mtime_ns


class NoData(Component):
    """No samples of the runner's: the batches come from a class or function of yours, loader=custom."""

    kind: Literal["none"] = "none"

    scale: Scale = "auto"
    """Scaling inside the model: `unit` x/255, `signed` 2(x/255 - 0.5), `auto` unit for 8-bit samples, else none."""
