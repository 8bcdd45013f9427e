"""The check: every sample read and named if something is wrong with it, without a model.

Whether a single sample can be read, and is what its name says.

Which samples have the same content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from runner.batch import Array, Batch, Indices
from runner.data.dataset import Dataset
from runner.data.source import Source
from runner.errors import BadSampleError
from runner.images.reader import HEAD, misnamed, reason
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.loaders.workers import in_threads

Fault = Literal["missing", "empty", "unreadable", "misnamed"]

UNKNOWN = -1
"""The size of a file that is not there."""


@dataclass(frozen=True)
class Examined:
    """What was found of one sample: what is wrong with it and why, and what tells equal ones apart.

    `size` is the file's in bytes, of samples without a file the array's; `digest` is the array's, where there is no
    file.
    """

    size: int
    digest: bytes | None = None
    fault: Fault | None = None
    reason: str = ""


def examine(source: Source, index: int) -> Examined:
    """Read sample `index` as a loader does."""
    pixels = np.empty(source.spec.shape, source.spec.dtype)
    if (path := source.path(index)) is not None:
        return _examine_file(source, index, path, pixels)
    try:
        source.read(index, pixels)
    except BadSampleError as error:
        return Examined(UNKNOWN, fault="unreadable", reason=error.reason)
    return Examined(pixels.nbytes, digest=hashlib.sha256(pixels.tobytes()).digest())


def _examine_file(source: Source, index: int, path: Path, pixels: Array) -> Examined:
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        return Examined(UNKNOWN, fault="missing", reason=reason(error))
    except OSError as error:
        return Examined(UNKNOWN, fault="unreadable", reason=reason(error))
    if size == 0:
        return Examined(size, fault="empty", reason="empty file")
    try:
        source.read(index, pixels)
    except BadSampleError as error:
        return Examined(size, fault="unreadable", reason=error.reason)
    wrong = misnamed(path.name, _head(path))
    return Examined(size) if wrong is None else Examined(size, fault="misnamed", reason=wrong)


def _head(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(HEAD)


Key = TypeVar("Key")

BYTES_AT_ONCE = 1 << 20
"""Bytes of a file that are held while it is hashed."""


def equal_sized(sizes: Indices) -> Indices:
    """The positions of sizes that occur more than once: only files of one size can be equal. Empty ones are not meant.

    >>> equal_sized(np.array([5, 0, 7, 0, 5, -1])).tolist()
    [0, 4]
    """
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    return np.flatnonzero((counts[inverse] > 1) & (sizes > 0))


def file_digest(path: Path) -> bytes | None:
    """SHA-256 of a file's bytes; None if they cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(BYTES_AT_ONCE):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()


def groups_of_equals(digests: Iterable[tuple[Key, bytes | None]]) -> list[list[Key]]:
    """The keys that share a digest, in the order they came; those that share none, or have none, are left out.

    >>> groups_of_equals([("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", None), ("e", None)])
    [['a', 'c']]
    """
    groups: dict[bytes, list[Key]] = {}
    for key, digest in digests:
        if digest is not None:
            groups.setdefault(digest, []).append(key)
    return [group for group in groups.values() if len(group) > 1]


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
    path = place.source.path(index)
    return place.examined[index].digest if path is None else file_digest(path)


def describe(array: Array) -> dict[str, Any]:
    """Shape, dtype and range of a batch's array."""
    return {"shape": array.shape, "dtype": str(array.dtype), "min": array.min(), "max": array.max()}
