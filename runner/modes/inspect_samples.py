"""The data check: read every sample, name what is wrong with it, and find samples with equal content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, Literal, TypeVar

import numpy as np
import xxhash

from runner.batch import Array, Batch, Indices
from runner.data.dataset import OTHER_BYTES, Dataset, RecordedDigest, no_digest
from runner.data.labels import Head
from runner.data.place_order import stored_order
from runner.data.source import Source
from runner.errors import BadSampleError, DataError, reason
from runner.fields import Values
from runner.finite import all_finite, not_finite_text
from runner.images.decoder import HEAD, misnamed
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.loaders.storage import refuse_lost_storage
from runner.loaders.workers import in_threads
from runner.place import Bytes, Place, using_fetched
from runner.transforms.transform import Transforms
from runner.user_code import error_text
from runner.watchdog import watched

Fault = Literal["missing", "empty", "unreadable", "not_finite", "misnamed"]
Kind = Literal["missing", "empty", "unreadable", "not_finite", "misnamed", "duplicate", "leaking"]
KINDS: tuple[Kind, ...] = ("missing", "empty", "unreadable", "not_finite", "misnamed", "duplicate", "leaking")

SAMPLES_AT_ONCE = 8
"""Samples that a thread reads before it reports them."""
BYTES_AT_ONCE = 1 << 20
"""Bytes of a file in memory while it is hashed."""
NO_TRANSFORMS: Mapping[str, Transforms] = {}
"""For data whose samples are not transformed."""
UNKNOWN = -1
"""The size of a file that does not exist or cannot be read."""


@dataclass(frozen=True)
class CheckedSample:
    """A sample of a finding, by its split and id."""

    split: str
    id: str


@dataclass(frozen=True)
class Finding:
    """A problem of one sample, or of several samples with the same content."""

    kind: Kind
    samples: tuple[CheckedSample, ...]
    reason: str


@dataclass(frozen=True)
class Examined:
    """The result of reading one sample: its size in bytes, and its fault with the reason.

    `size` is the size of the files, or of the array where there is no file. `digest` is the digest of the array where
    there is no file.
    """

    size: int
    digest: bytes | None = None
    fault: Fault | None = None
    reason: str = ""
    pixels: Array | None = None
    """The number of pixels of each class in its mask, then of ignored ones; None without a mask."""


@dataclass
class _CheckedSplit:
    """A split, its source, and the results of its samples so far."""

    split: str
    source: Source
    examined: dict[int, Examined] = field(default_factory=dict)

    def sample(self, index: int) -> CheckedSample:
        return CheckedSample(self.split, self.source.ids[index])


def check(
    dataset: Dataset,
    settings: LoaderSettings,
    on_samples: Callable[[int], None],
    transforms: Mapping[str, Transforms] = NO_TRANSFORMS,
    on_pixels: Callable[[str, Array], None] = lambda split, pixels: None,
    recorded: RecordedDigest = no_digest,
) -> Iterator[Finding]:
    """Read every sample in as many threads as the loader has workers; then compare samples of equal size.

    `transforms` of a split are applied to its samples before their values are checked. Calls `on_samples` with the
    number of samples that were read since the last call, and `on_pixels` with the pixels of each mask by class. Bytes
    must have the digest that `recorded` gives. Samples in large files are read in their order there, and once. Yields
    faulty samples first, in the order of the splits and their sources.
    """
    run = partial(in_threads, workers=settings.workers, timeout_seconds=settings.timeout_seconds)
    splits = [_CheckedSplit(split, source) for split, source in dataset.splits.items()]
    for split in splits:
        blocks = np.array_split(stored_order(split.source), -(-len(split.source) // SAMPLES_AT_ONCE))
        examine_block = partial(_examine_block, split.source, transforms.get(split.split, ()), recorded)
        for examined in run(examine_block, blocks):
            split.examined.update(examined)
            for one in examined.values():
                if one.pixels is not None:
                    on_pixels(split.split, one.pixels)
            on_samples(len(examined))
        yield from _faults(split)
    yield from _equals(splits, run, recorded)


def first_batch(loader: Loader) -> Batch | BadSampleError:
    """The first batch of training, or the error that prevents it."""
    try:
        return loader.batch(0, 0)
    except BadSampleError as error:
        return error


def describe(array: Array) -> dict[str, Any]:
    """Shape, dtype and range of an array."""
    return {"shape": array.shape, "dtype": str(array.dtype), "min": array.min(), "max": array.max()}


def _examine_block(
    source: Source, transforms: Transforms, recorded: RecordedDigest, indices: Indices
) -> dict[int, Examined]:
    return {index: examine(source, index, transforms, recorded) for index in indices.tolist()}


def examine(source: Source, index: int, transforms: Transforms = (), recorded: RecordedDigest = no_digest) -> Examined:
    """Read sample `index` as a loader does; check its bytes, and the values that it has after `transforms`."""
    pixels = source.spec.empty()
    places = source.places(index)
    with watched(lambda: f"sample {source.ids[index]}"):
        if places:
            one = _examine_bytes(source, index, places, pixels, recorded)
        else:
            one = _examine_array(source, index, pixels)
        if one.fault:
            return one
        counts = _pixels_by_class(source.labels.heads, pixels)
        return replace(one, **_faulty_values(source, index, pixels, transforms), pixels=counts)


def _pixels_by_class(heads: tuple[Head, ...], values: Values) -> Array | None:
    """The pixels of each class in the mask of a sample, and behind them the ignored ones; None without a mask."""
    head = next((head for head in heads if head.mode == "mask" and head.field), None)
    if head is None:
        return None
    counts, num_classes = np.bincount(values.arrays[head.field].ravel()), len(head.class_names)
    ignored = counts[head.ignored] if head.ignored is not None and head.ignored < len(counts) else 0
    by_class = np.zeros(num_classes, np.int64)
    by_class[: len(counts)] = counts[:num_classes]
    return np.append(by_class, ignored)


def _faulty_values(source: Source, index: int, pixels: Values, transforms: Transforms) -> dict[str, Any]:
    """The fault of a sample that was read, if it cannot be transformed or its values are no numbers."""
    name = ""
    try:
        for transform in transforms:
            name = getattr(transform, "key", "data.augment")
            pixels = transform(pixels.copy(), 0, index)
    except DataError as error:
        return {"fault": "unreadable", "reason": str(error)}
    except Exception as error:  # of the user's own function
        return {"fault": "unreadable", "reason": f"{name} failed: {error_text(error)}"}
    once = " once transformed" if transforms else ""
    return {} if all_finite(pixels) else {"fault": "not_finite", "reason": not_finite_text(pixels) + once}


def _examine_array(source: Source, index: int, pixels: Values) -> Examined:
    try:
        source.read(index, pixels)
    except BadSampleError as error:
        refuse_lost_storage(source, error)
        return Examined(UNKNOWN, fault="unreadable", reason=error.reason)
    return Examined(pixels.nbytes, digest=hashlib.sha256(pixels.tobytes()).digest())


def _examine_bytes(
    source: Source, index: int, places: Sequence[Place], pixels: Values, recorded: RecordedDigest
) -> Examined:
    """The result of reading a sample of one file, or of several; a fault of a later file names it."""
    size = 0
    for place in places:
        of_file = "" if place == places[0] else f"{place.name}: "
        try:
            length, _ = place.stat()
        except (OSError, ValueError) as error:
            bad = BadSampleError(place.name, reason(error))
            bad.__cause__ = error
            refuse_lost_storage(source, bad)
            fault: Fault = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
            return Examined(UNKNOWN, fault=fault, reason=of_file + bad.reason)
        if length == 0:
            return Examined(length, fault="empty", reason=f"{of_file}empty file")
        size += length
    digests = {place: digest for place in places if (digest := recorded(place)) is not None}
    fetched: dict[Place, Bytes] = {}
    faults = []
    try:
        fetched.update((place, place.read()) for place in digests)
        with using_fetched(fetched):
            source.read(index, pixels)
    except BadSampleError as error:
        refuse_lost_storage(source, error)
        of_file = f"{error.name}: " if error.name in (place.name for place in places[1:]) else ""
        faults.append(of_file + error.reason)
    changed = [place for place, data in fetched.items() if xxhash.xxh3_128_digest(data) != digests[place]]
    faults += [OTHER_BYTES if place == places[0] else f"{place.name}: {OTHER_BYTES}" for place in changed]
    if faults:
        return Examined(size, fault="unreadable", reason="; ".join(faults))
    for place in places:
        if (wrong := misnamed(place.name, place.head(HEAD))) is not None:
            return Examined(size, fault="misnamed", reason=wrong if place == places[0] else f"{place.name}: {wrong}")
    return Examined(size)


def _faults(split: _CheckedSplit) -> Iterator[Finding]:
    for index, one in sorted(split.examined.items()):
        if one.fault is not None:
            yield Finding(one.fault, (split.sample(index),), one.reason)


def _equals(
    splits: list[_CheckedSplit], run: Callable[..., Iterator[Any]], recorded: RecordedDigest
) -> Iterator[Finding]:
    """Groups of samples with the same content; a group with samples of several splits is leaking."""
    everyone = [(split, index) for split in splits for index in range(len(split.examined))]
    sizes = np.array([split.examined[index].size for split, index in everyone], np.int64)
    candidates = [everyone[position] for position in equal_sized(sizes)]
    digests = run(partial(_digest, recorded), candidates)
    for group in groups_of_equals(zip(candidates, digests, strict=True)):
        samples = tuple(split.sample(index) for split, index in group)
        leaking = len({sample.split for sample in samples}) > 1
        yield Finding("leaking" if leaking else "duplicate", samples, "the same content")


def _digest(recorded: RecordedDigest, candidate: tuple[_CheckedSplit, int]) -> bytes | None:
    """The digest of a sample's content: as it was recorded, where it was, else of its bytes or its array."""
    split, index = candidate
    places, examined = split.source.places(index), split.examined[index]
    if not places:
        return examined.digest
    known = [recorded(place) for place in places if not examined.fault]
    return b"".join(filter(None, known)) if len(known) == len(places) and all(known) else bytes_digest(places)


def equal_sized(sizes: Indices) -> Indices:
    """The positions of sizes that occur more than once, as only files of one size can be equal; without empty files.

    >>> equal_sized(np.array([5, 0, 7, 0, 5, -1])).tolist()
    [0, 4]
    """
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    return np.flatnonzero((counts[inverse] > 1) & (sizes > 0))


def bytes_digest(places: Iterable[Place]) -> bytes | None:
    """The SHA-256 digest of the bytes at places, one after the other; None if some cannot be read."""
    digest = hashlib.sha256()
    try:
        for block in chain.from_iterable(place.blocks(BYTES_AT_ONCE) for place in places):
            digest.update(block)
    except OSError:
        return None
    return digest.digest()


Key = TypeVar("Key")


def groups_of_equals(digests: Iterable[tuple[Key, bytes | None]]) -> list[list[Key]]:
    """The keys that share a digest, in their order; without keys that share none, or have none.

    >>> groups_of_equals([("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", None), ("e", None)])
    [['a', 'c']]
    """
    groups: dict[bytes, list[Key]] = {}
    for key, digest in digests:
        if digest is not None:
            groups.setdefault(digest, []).append(key)
    return [group for group in groups.values() if len(group) > 1]
