"""The JSON files that say which ids belong to which split, and to which class."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.data.json_object import read_json_object
from runner.data.split_names import EXPECTED, SPLIT_NAMES
from runner.errors import DataError
from runner.messages import nearest, some

Partition = Mapping[str, Sequence[str]]


def read_partition(file: Path) -> Partition:
    """The ids of each split: `{"train": ["a/1", …], "validation": […], "test": […]}`; ids that are numbers as text.

    Raises `DataError` for other keys, without ids to train on, for an id that is listed twice, and for one that is
    no path below a folder.
    """
    partition: dict[str, list[str]] = {}
    for key, ids in read_json_object(file).items():
        split = _split(file, key)
        if split in partition:
            raise DataError(f"{file} must list each split once, got both validation and val")
        partition[split] = _ids(file, key, ids)
    if not partition.get("train"):
        raise DataError(f"{file} must list ids under train, got {some(partition)}")
    _refuse_repeated(file, partition)
    return partition


def _split(file: Path, key: str) -> str:
    if key not in SPLIT_NAMES:
        near = nearest(key, SPLIT_NAMES)
        mend = f"; did you mean {near!r}?" if near else ""
        raise DataError(f"{file} must have the keys {EXPECTED}, got {key!r}{mend}")
    return SPLIT_NAMES[key]


def _ids(file: Path, key: str, ids: Any) -> list[str]:
    if not isinstance(ids, list):
        raise DataError(f"{file} must have a list of ids under {key}, got {str(ids)[:50]}")
    wrong = [name for name in ids if type(name) not in (str, int)]
    if wrong:
        raise DataError(f"{file} must list ids as text under {key}, got {some(map(repr, wrong))}")
    texts = [str(name) for name in ids]
    leaving = [name for name in texts if not _is_below(name)]
    if leaving:
        raise DataError(
            f"{file} must list ids that are plain paths below data.root, without .. and not absolute; under {key} "
            f"got {some(map(repr, leaving))}"
        )
    return texts


def _is_below(name: str) -> bool:
    """Whether an id is a path within a folder, in its only spelling: two spellings would be two samples of one file."""
    plain = posixpath.normpath(name) == name and name != "." and "\0" not in name
    return plain and not name.startswith("/") and name.split("/", 1)[0] != ".."


def _refuse_repeated(file: Path, partition: Partition) -> None:
    total = sum(map(len, partition.values()))
    if len(set().union(*partition.values())) == total:
        return
    counts = Counter(name for ids in partition.values() for name in ids)
    repeated = [name for name, count in counts.items() if count > 1]
    where = [f"{name!r} ({' and '.join(_places(name, partition))})" for name in repeated[:5]]
    raise DataError(f"{file} must list each id once, got {len(repeated)} more than once: {some(where, len(repeated))}")


def _places(name: str, partition: Partition) -> list[str]:
    counts = {split: ids.count(name) for split, ids in partition.items()}
    return [split if count == 1 else f"{count} times in {split}" for split, count in counts.items() if count]


def read_labels(file: Path, partition: Partition) -> dict[str, list[str]]:
    """The class of each id, by split, as text: `{"a/1": 0, "a/2": "cat", …}`; ids of no split are left out.

    Raises `DataError` if an id has none, or one that is no whole number and no text.
    """
    labels = read_json_object(file)
    missing = [name for ids in partition.values() for name in ids if name not in labels]
    if missing:
        raise DataError(
            f"{file} must have a label for every id, got none for {some(map(repr, missing[:5]), len(missing))} "
            f"({len(missing):,} in all)"
        )
    found = {split: [labels[name] for name in ids] for split, ids in partition.items()}
    for split, values in found.items():
        for name, value in zip(partition[split], values, strict=True):
            if type(value) not in (str, int) or value == "":
                raise DataError(f"{file} must have a class number or name for {name!r}, got {value!r}")
    return {split: [str(value) for value in values] for split, values in found.items()}
