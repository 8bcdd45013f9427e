"""The check: every sample read and named if something is wrong with it, without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np

from runner.batch import Array, Batch, Indices
from runner.data.dataset import Dataset
from runner.data.source import Source, has_files
from runner.errors import BadSampleError
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.loaders.workers import in_threads
from runner.modes.examine import Examined, examine
from runner.modes.same_content import equal_sized, file_digest, groups_of_equals

Kind = Literal["missing", "empty", "unreadable", "misnamed", "duplicate", "leaking"]
KINDS: tuple[Kind, ...] = ("missing", "empty", "unreadable", "misnamed", "duplicate", "leaking")

SAMPLES_AT_ONCE = 8
"""Samples a thread reads at a time."""


@dataclass(frozen=True)
class Sample:
    """A sample by its split and its id."""

    split: str
    id: str


@dataclass(frozen=True)
class Finding:
    """Something wrong: with one sample, or with several of the same content."""

    kind: Kind
    samples: tuple[Sample, ...]
    reason: str


@dataclass
class _Place:
    """A split, its source, and what was found of its samples so far."""

    split: str
    source: Source
    examined: list[Examined] = field(default_factory=list)

    def sample(self, index: int) -> Sample:
        return Sample(self.split, self.source.ids[index])


def check(dataset: Dataset, settings: LoaderSettings, on_samples: Callable[[int], None]) -> Iterator[Finding]:
    """Read every sample with the loader's workers, as threads; then compare those that may be equal.

    `on_samples` is told how many more were read. Bad samples first, in the order of the splits and their sources.
    """
    run = partial(in_threads, workers=settings.workers, timeout_seconds=settings.timeout_seconds)
    places = [_Place(split, source) for split, source in dataset.splits.items()]
    for place in places:
        blocks = np.array_split(np.arange(len(place.source)), -(-len(place.source) // SAMPLES_AT_ONCE))
        for examined in run(partial(_examine, place.source), blocks):
            yield from _faults(place, examined)
            on_samples(len(examined))
    yield from _equals(places, run)


def first_batch(loader: Loader) -> Batch | BadSampleError:
    """The batch training would begin with, or why it cannot."""
    try:
        return loader.batch(0, 0)
    except BadSampleError as error:
        return error


def _examine(source: Source, indices: Indices) -> list[Examined]:
    return [examine(source, index) for index in indices.tolist()]


def _faults(place: _Place, examined: list[Examined]) -> Iterator[Finding]:
    for one in examined:
        if one.fault is not None:
            yield Finding(one.fault, (place.sample(len(place.examined)),), one.reason)
        place.examined.append(one)


def _equals(places: list[_Place], run: Callable[..., Iterator[Any]]) -> Iterator[Finding]:
    """Groups of samples with the same content, leaking where a group stands in several splits."""
    everyone = [(place, index) for place in places for index in range(len(place.examined))]
    sizes = np.array([place.examined[index].size for place, index in everyone], np.int64)
    candidates = [everyone[position] for position in equal_sized(sizes)]
    digests = run(_digest, candidates)
    for group in groups_of_equals(zip(candidates, digests, strict=True)):
        samples = tuple(place.sample(index) for place, index in group)
        leaking = len({sample.split for sample in samples}) > 1
        yield Finding("leaking" if leaking else "duplicate", samples, "the same content")


def _digest(candidate: tuple[_Place, int]) -> bytes | None:
    place, index = candidate
    return file_digest(place.source.path(index)) if has_files(place.source) else place.examined[index].digest


def describe(array: Array) -> dict[str, Any]:
    """Shape, dtype and range of a batch's array."""
    return {"shape": array.shape, "dtype": str(array.dtype), "min": array.min(), "max": array.max()}
