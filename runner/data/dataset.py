"""Data, the base of every data component; Dataset, which it opens; and `data=none`, for `loader=custom`."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from runner.batch import Array
from runner.component import Component
from runner.data.division import Division
from runner.data.labels import Head
from runner.data.source import Source
from runner.data.views import relabel
from runner.errors import BadSampleError, DataError, UserReadError, reason
from runner.fields import SampleSpec
from runner.place import Place
from runner.transforms.settings import Augment

if TYPE_CHECKING:
    from runner.data.groups import Groups

Scale = Literal["auto", "none", "unit", "signed"]
OnBadChoice = Literal["raise", "skip", "substitute"]

T = TypeVar("T")

FIRST = 10
"""Samples to try, at most, until one can be read."""

MISSING = (-1, -1)
"""Size and modification time that stand for a missing file."""

RecordedDigest = Callable[[Place], bytes | None]
"""The digest that was recorded of the bytes at a place when they were written; None where none was."""

OTHER_BYTES = "its bytes are not those that were packed (index.parquet has another XXH3)"
"""The reason of a bad sample whose bytes have another digest than the recorded one."""


def no_digest(place: Place) -> None:
    """None: no digest was recorded."""


@dataclass(frozen=True)
class ReadyBatches:
    """Batches made by the user's own code."""

    steps: Mapping[str, int]
    """Batches in one pass, by split."""

    size: int
    """Samples in the largest of the splits' first batches."""


@dataclass(frozen=True)
class Dataset:
    """One source per split, all with the same spec and the same heads.

    `splits` holds only splits with samples, in the order train, validation, test.
    """

    splits: Mapping[str, Source]
    heads: tuple[Head, ...]
    spec: SampleSpec
    """Shape and dtype of a sample in a batch: the sources' own, unless transforms change it."""
    notes: tuple[str, ...] = ()
    """Remarks for the user about how the data was opened."""
    files: tuple[Path, ...] = ()
    """Files that hold many samples, or list them; empty if each sample is a file and nothing lists them."""
    batches: ReadyBatches | None = None
    """Batches made by the user's code: the number of samples is unknown, and no single sample can be read."""
    must_be_there: bool = True
    """Whether a missing file ends the run at once; otherwise it counts as a bad sample."""

    def stat(self) -> Iterator[tuple[str, int, int]]:
        """Name, size in bytes and modification time in nanoseconds of every file that is read."""
        for source in self.splits.values():
            spans = source.spans()
            for index, name in enumerate(source.ids if source.has_bytes and spans is None else ()):
                for place in source.places(index):
                    yield self._stat(name, place)
            for file in spans.files if spans else ():
                yield self._stat(os.path.basename(file), Place(file))  # noqa: PTH119  (a place has a name, no path)
        yield from (_stat(file.name, Place(str(file))) for file in self.files)

    def _stat(self, name: str, place: Place) -> tuple[str, int, int]:
        try:
            return _stat(name, place)
        except BadSampleError:
            if self.must_be_there:
                raise
            return name, *MISSING


class Data(Division):
    """Keys of every data component."""

    augment: Augment = Augment()
    """Random augmentation of training images; null: none."""

    transform: str | None = None
    """Your function my_module.f(array, rng) -> array, applied to every sample; `extensions` must list my_module.
    If it has parameters named `split` or `training`, it gets the name of the split, and whether the model trains."""

    transform_on: Literal["all", "training"] = "all"
    """Where `transform` is applied: to all samples, or like augmentation only while the model trains."""

    scale: Scale = "auto"
    """Scaling inside the model: `unit` x/255, `signed` 2(x/255 - 0.5), `auto` unit for 8-bit images, else none."""

    on_bad: OnBadChoice = "raise"
    """What to do with a sample that cannot be read: `raise` ends the run, `skip` leaves it out of its batch,
    `substitute` trains on another sample instead. Outside training, `substitute` acts like `skip`.
    bad_samples.csv lists all bad samples."""

    max_bad: NonNegativeInt | None = None
    """Maximum number of bad samples with `skip` or `substitute`, over all splits; null: no limit."""

    share: Annotated[float, Field(gt=0)] | None = None
    """Of a part of data=mix: how many of the samples of an epoch come from it, relative to the other parts."""

    @field_validator("augment", mode="before")
    @classmethod
    def _null_is_no_augmentation(cls, value: Any) -> Any:
        return {} if value is None else value

    @model_validator(mode="after")
    def _transform_on_has_an_effect(self) -> Self:
        if self.transform is None and self.transform_on != "all":
            raise ValueError(
                f"transform_on must be all without a transform, got {self.transform_on}; name a function in transform"
            )
        return self

    @model_validator(mode="after")
    def _max_bad_has_an_effect(self) -> Self:
        if self.on_bad == "raise" and self.max_bad is not None:
            raise ValueError(
                f"max_bad must be null with on_bad=raise, got {self.max_bad}; set on_bad=skip or on_bad=substitute"
            )
        return self

    def names(self) -> Iterator[tuple[str, str]]:
        """Pairs of a key and the dotted name of user code that it holds."""
        if self.transform is not None:
            yield "transform", self.transform
        if self.augment.transform is not None:
            yield "augment.transform", self.augment.transform

    def named_outputs(self) -> tuple[Head, ...]:
        """The heads, without classes, of several outputs whose names the settings give."""
        return ()

    @abstractmethod
    def open(self) -> Dataset:
        """List the samples and split them; reads at most one sample.

        Raises `DataError` if there is nothing to train on.
        """

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads: classes get the model's codes; `heads` is empty without labels.

        Raises `DataError` as `open` does, and for classes or targets that are unknown to the model.
        """
        return relabel_splits(self.open(), heads)

    def dataset(
        self,
        sources: Mapping[str, Source],
        heads: tuple[Head, ...],
        files: tuple[Path, ...] = (),
        groups: Mapping[str, Groups] | None = None,
    ) -> Dataset:
        """A dataset of the given `sources`; a missing split is held out from `train` by its fraction.

        The `groups` of each source, which stay whole, replace those of `group_pattern`.
        """
        from runner.data.held_out import divide_sources  # no configuration needs it

        splits, notes = divide_sources(self, sources, groups)
        return Dataset(splits, heads, sources["train"].spec, notes, files, must_be_there=self.on_bad == "raise")

    def first_readable(self, read: Callable[[int], T], indices: Iterable[int]) -> T:
        """Read the first sample that can be read; it determines what all samples look like.

        Raises `BadSampleError` for a bad sample with `on_bad=raise`, or if none of the first `FIRST` can be read, and
        `WorkerError` if reading one takes too long.
        """
        *others, last = islice(indices, 1 if self.on_bad == "raise" else FIRST)
        for index in others:
            try:
                return _limited(read, index)
            except UserReadError:
                raise
            except BadSampleError:
                continue
        return _limited(read, last)

    def array_settings(self) -> Mapping[str, Any] | None:
        """The settings that, with a sample's file, determine its array; None if other things do as well."""
        return None

    def recorded_digests(self) -> RecordedDigest:
        """What gives the XXH3-128 digest that was recorded of the bytes at a place; None where none was.

        Reads all digests, which takes a while and memory for millions of samples.
        """
        return no_digest

    def draw_weights(self, column: str, ids: Sequence[str]) -> Array:
        """How often to draw the samples with these ids, by the numbers in `column`; float32, at least 0, not all 0.

        Raises `DataError` if the data has no such numbers.
        """
        raise DataError(f"loader.draw_by={column} needs a table with that column, got data without columns")

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """Pairs of a key and its path, for paths that do not exist."""
        return iter(())


def _limited(read: Callable[[int], T], index: int) -> T:
    from runner.watchdog import watched  # no configuration needs it

    with watched(lambda: "the first training sample"):
        return read(index)


def relabel_splits(dataset: Dataset, heads: tuple[Head, ...]) -> Dataset:
    """`dataset` with the heads of a model instead of its own; without labels its `heads` stay empty."""
    splits = {split: relabel(source, heads) for split, source in dataset.splits.items()}
    return replace(dataset, splits=splits, heads=heads if dataset.heads else ())


def _stat(name: str, place: Place) -> tuple[str, int, int]:
    try:
        return name, *place.stat()
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        raise BadSampleError(place.name, reason(error)) from error


class NoData(Component):
    """No data: `loader=custom` makes the batches with a class or function of yours."""

    kind: Literal["none"] = "none"

    scale: Scale = "auto"
    """Scaling inside the model: `unit` x/255, `signed` 2(x/255 - 0.5), `auto` unit for 8-bit samples, else none."""
