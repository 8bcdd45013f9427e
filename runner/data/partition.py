"""The JSON files of `data=npy`: the ids of each split, and the label of each id."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array
from runner.data.division import EXPECTED, SPLIT_NAMES, split_of
from runner.data.file_names import composed, is_file_name
from runner.errors import DataError
from runner.messages import did_you_mean, first_few, quoted

LARGEST = float(np.finfo(np.float32).max)
"""The largest number of a label."""


WRITE_JSON = "write it with json.dump(CONTENT, open('FILE.json', 'w'))"


def read_json_object(file: Path) -> dict[str, Any]:
    """The JSON object in `file`.

    Raises `DataError` with the file's path if the file cannot be read, is not JSON, gives a key twice, or holds
    something else.
    """
    try:
        content = json.loads(file.read_bytes(), object_pairs_hook=_keys_once)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} must be a JSON file, got {_kind_of(error.object)}; {WRITE_JSON}") from error
    except (OSError, ValueError, RecursionError) as error:
        fix = f"; {WRITE_JSON}" if file.suffix.lower() in (".yaml", ".yml", ".csv", ".txt") else ""
        raise DataError(f"{file} must be a JSON file: {error}{fix}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} must hold one JSON object, {{…}}; got {_json_text(content)}")
    return content


def _kind_of(content: bytes) -> str:
    """What a file that is no text seems to hold; a pickle is never loaded, as it may run any code."""
    kinds = {b"\x80": "a pickle, which is never loaded", b"\x93NUMPY": "an .npy file", b"PK": "an .npz file"}
    return next((kind for start, kind in kinds.items() if content.startswith(start)), "text that is not UTF-8")


def _keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these pairs; Python's own keeps only the last of equal keys."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = [repr(key) for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"each key must be given once, got {first_few(twice)} more than once")
    return content


def _json_text(value: Any) -> str:
    return "a list" if isinstance(value, list) else json.dumps(value)[:50]


Partition = Mapping[str, Sequence[str]]


def read_partition(file: Path) -> Partition:
    """The ids of each split: `{"train": ["a/1", …], "validation": […], "test": […]}`; numbers become text.

    Raises `DataError` for unknown keys, if there are no ids to train on, and for ids that are listed twice or are not
    paths below a folder.
    """
    partition: dict[str, list[str]] = {}
    keys: dict[str, str] = {}
    for key, ids in read_json_object(file).items():
        split = _split(file, key)
        if split in keys:
            raise DataError(f"{file} must list each split once, got both {key} and {keys[split]}")
        keys[split], partition[split] = key, _ids(file, key, ids)
    if not partition.get("train"):
        raise DataError(f"{file} must list ids under train, got {first_few(partition)}")
    _refuse_repeated(file, partition)
    return partition


def _split(file: Path, key: str) -> str:
    if (split := split_of(key)) is None:
        raise DataError(f"{file} must have the keys {EXPECTED}, got {key!r}{did_you_mean(key, SPLIT_NAMES)}")
    return split


def _ids(file: Path, key: str, ids: Any) -> list[str]:
    if not isinstance(ids, list):
        raise DataError(f"{file} must have a list of ids under {key}, got {str(ids)[:50]}")
    wrong = [name for name in ids if type(name) not in (str, int)]
    if wrong:
        raise DataError(f"{file} must list ids as text under {key}, got {first_few(map(repr, wrong))}")
    texts = [str(name) for name in ids]
    outside = [name for name in texts if not _is_below(name)]
    if not is_file_name("".join(texts)):
        outside = [name for name in texts if not is_file_name(name)]
    if outside:
        raise DataError(
            f"{file} must list ids that are relative paths below data.root, without ..; got "
            f"{first_few(map(repr, outside))} under {key}"
        )
    return texts


def _is_below(name: str) -> bool:
    """Whether an id is a path within a folder in normal form: with two spellings one file would be two samples."""
    plain = posixpath.normpath(name) == name and name != "."
    return plain and not name.startswith("/") and name.split("/", 1)[0] != ".."


def _refuse_repeated(file: Path, partition: Partition) -> None:
    total = sum(map(len, partition.values()))
    if len(set().union(*partition.values())) == total:
        return
    counts = Counter(name for ids in partition.values() for name in ids)
    repeated = [name for name, count in counts.items() if count > 1]
    where = [f"{name!r} ({' and '.join(_places(name, partition))})" for name in repeated[:5]]
    raise DataError(
        f"{file} must list each id once, got {len(repeated)} more than once: {first_few(where, len(repeated))}"
    )


def _places(name: str, partition: Partition) -> list[str]:
    counts = {split: ids.count(name) for split, ids in partition.items()}
    return [split if count == 1 else f"{count} times in {split}" for split, count in counts.items() if count]


def read_labels(file: Path, partition: Partition) -> dict[str, list[str]]:
    """The class of each id as text, by split, from `{"a/1": 0, "a/2": "cat", …}`; other ids are left out.

    Raises `DataError` if an id has no class, or one that is neither a whole number nor text.
    """
    found = _values(file, partition)
    for split, values in found.items():
        for name, value in zip(partition[split], values, strict=True):
            if type(value) not in (str, int):
                raise DataError(_no_class(file, name, value))
    texts = {split: [str(value) for value in values] for split, values in found.items()}
    odd = {text for text in set().union(*texts.values()) if not text.strip() or not is_file_name(text)}
    for split, values in texts.items() if odd else ():
        for name, value in zip(partition[split], values, strict=True):
            if value in odd:
                raise DataError(_no_class(file, name, value))
    return texts


def read_numbers(file: Path, partition: Partition) -> dict[str, Array]:
    """The numbers of each id by split, from `{"a/1": 0.5, …}` or `{"a/1": [0.5, 2], …}`, float32.

    Shape `(n,)`, or `(n, values)` for lists. Raises `DataError` if an id has none, or another form than the others.
    """
    found, size = _values(file, partition), None
    for split, values in found.items():
        for name, value in zip(partition[split], values, strict=True):
            numbers = value if isinstance(value, list) else [value]
            if not numbers or not all(type(number) in (int, float) and abs(number) <= LARGEST for number in numbers):
                raise DataError(f"{file} must have a number or a list of numbers for {name!r}, got {quoted(value)}")
            size = size or len(numbers)
            if len(numbers) != size:
                raise DataError(f"{file} must have as many numbers for every id, got {len(numbers)} for {name!r}")
    columns = {split: np.array(values, np.float32).reshape(len(values), -1) for split, values in found.items()}
    return {split: column[:, 0] if size == 1 else column for split, column in columns.items()}


def _values(file: Path, partition: Partition) -> dict[str, list[Any]]:
    """The label of each id, by split. Raises `DataError` for an id without one."""
    labels = read_json_object(file)
    if not "".join(labels).isascii():
        ids = {composed(name): name for names in partition.values() for name in names}
        labels = {ids.get(composed(name), name): label for name, label in labels.items()}
    missing = [name for ids in partition.values() for name in ids if name not in labels]
    num_ids = sum(map(len, partition.values()))
    if missing:
        named = f"; its ids are {first_few(map(repr, labels), most=3)}" if len(missing) == num_ids else ""
        raise DataError(
            f"{file} must have a label for every id, got none for {len(missing):,} of them: "
            f"{first_few(map(repr, missing))}{named}"
        )
    return {split: [labels[name] for name in ids] for split, ids in partition.items()}


def _no_class(file: Path, name: str, value: Any) -> str:
    fix = ""
    if isinstance(value, float):
        fix = f"; write {value:.0f}, or predict numbers" if value.is_integer() else "; numbers are predicted"
        fix += " with data.class_mode=raw"
    return f"{file} must have a class number or name for {name!r}, got {quoted(value)}{fix}"
