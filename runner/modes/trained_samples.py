"""Samples of a held-out split that the model of an earlier run was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from runner.batch import Indices
from runner.data.dataset import Data
from runner.data.source import Source
from runner.errors import BadSampleError, RunnerError
from runner.messages import first_few, plural
from runner.records.contents import name_digest, read_contents
from runner.records.earlier import FREE
from runner.records.run_folder import RunFolder
from runner.settings import Settings

PLACES = tuple(key.removeprefix("data.") for key in FREE if key.startswith("data.") and key != "data.max_bad")
"""Keys that say where data is."""

MOST_COMPARED = 20
"""The most samples whose bytes are compared to learn whether data in another place is the same."""


def notes_on_trained(
    config: Settings, trained: RunFolder, split: str, source: Source, fingerprint: str
) -> Iterator[str]:
    """A note that names samples of `source`, which is held out, that the run `trained` was trained on, if it was.

    A sample is the same if its id is, and the data: in the same place, with the same files, or with the same bytes. The
    samples of a mix are also those of its parts. No sample is looked for where nothing has changed that decides the
    splits.
    """
    if not isinstance(config.data, Data) or _is_unchanged(config.data, trained, fingerprint):
        return
    rows = read_contents(trained.path).get("train")
    known = np.empty(0, np.uint64) if rows is None else rows["name"][rows["name"] != 0]
    if len(known) < (trained.document["data"].get("samples") or {}).get("train", 0):  # not all were read from files
        known = np.append(known, _names_divided_before(trained))
    found = [_shared(reading, known, trained, fingerprint, source) for reading in _readings(config.data, trained)]
    shared = np.unique(np.concatenate(found))
    if not len(shared):
        return
    first = first_few((source.ids[index] for index in shared[:5].tolist()), len(shared))
    yield (
        f"{len(shared):,} of {plural(len(source), f'{split} sample')} were training samples of {trained.path}, whose "
        f"model knows them: {first}; the keys of data that divide it, or its files, are not as they were"
    )


def _is_unchanged(data: Data, trained: RunFolder, fingerprint: str) -> bool:
    """Whether the splits must be those of the run."""
    same_files: bool = fingerprint == trained.document["data"].get("fingerprint")
    return same_files and data.document() == trained.config["data"]


@dataclass(frozen=True)
class Reading:
    """A way in which samples may be those of a run: where both have them, and the ids that the run gave them."""

    here: Mapping[str, Any]
    there: Mapping[str, Any]
    id_there: Callable[[str], str]
    is_whole: bool = True
    """Whether it is all of the data, not a part of it."""


def _readings(data: Data, trained: RunFolder) -> Iterator[Reading]:
    """The data as a whole, and a part of a mix with data that is no mix."""
    here, there = data.document(), trained.config["data"]
    yield Reading(here, there, str)
    if there.get("kind") == "mix" and here["kind"] != "mix":
        for name, part in there["parts"].items():
            yield Reading(here, part, f"{name}/{{}}".format, is_whole=False)
    if here["kind"] == "mix" and there.get("kind") != "mix":
        for name, part in here["parts"].items():
            # The id of another part keeps its prefix, which no sample of the run has.
            yield Reading(part, there, methodcaller("removeprefix", f"{name}/"), is_whole=False)


def _shared(
    reading: Reading, known: NDArray[np.uint64], trained: RunFolder, fingerprint: str, source: Source
) -> Indices:
    """The samples of `source` among those of the names `known`; none if these are of other data."""
    names = _names(map(reading.id_there, source.ids), len(source))
    shared = np.flatnonzero(np.isin(names, known))
    is_same = len(shared) and _is_same_data(reading, trained, fingerprint, source, names, shared.tolist())
    return shared if is_same else shared[:0]


def _names(ids: Iterable[str], count: int) -> NDArray[np.uint64]:
    return np.fromiter(map(name_digest, ids), np.uint64, count)


def _names_divided_before(trained: RunFolder) -> NDArray[np.uint64]:
    """The training samples by the configuration of the run; none where its data cannot be opened now."""
    try:
        data = Settings.model_validate_json(json.dumps(Settings.completed(trained.config))).data
        if not isinstance(data, Data):
            return np.empty(0, np.uint64)
        source = data.open().splits["train"]
        return _names(source.ids, len(source))
    except (RunnerError, ValidationError):
        return np.empty(0, np.uint64)


def _is_same_data(
    reading: Reading,
    trained: RunFolder,
    fingerprint: str,
    source: Source,
    names: NDArray[np.uint64],
    shared: list[int],
) -> bool:
    """Whether samples with ids of the run are its samples."""
    if _place(reading.here) == _place(reading.there):
        return True
    if reading.is_whole and fingerprint == trained.document["data"].get("fingerprint"):
        return True
    rows = read_contents(trained.path).get("train")
    if rows is None:
        return False
    content = dict(zip(rows["name"].tolist(), rows["content"], strict=True))
    for index in shared[:MOST_COMPARED] if source.has_bytes else ():
        before = content.get(int(names[index]))
        if before is not None and _digest(source, index) == before.tobytes():
            return True
    return False


def _place(document: Mapping[str, Any]) -> dict[str, Any]:
    """The kind of data, and where it is."""
    return {key: document.get(key) for key in ("kind", "target", "arguments", "parts", *PLACES)}


def _digest(source: Source, index: int) -> bytes | None:
    """The digest of a sample's bytes, as contents/ has it; None if they cannot be read."""
    try:
        return source.read_hashed(index, source.spec.empty())
    except BadSampleError:
        return None
