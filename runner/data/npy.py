"""`data=npy`: one `.npy` file per sample, and JSON files with the split and the class of each id."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from runner.batch import Array, Indices
from runner.component import File, Folder, is_file, is_folder
from runner.data.dataset import Data, Dataset, relabel_splits
from runner.data.file_names import as_on_disk, composed, is_file_name
from runner.data.file_samples import FileSamples
from runner.data.ids import Ids
from runner.data.labels import (
    NO_LABELS,
    ClassMode,
    Head,
    Known,
    Labels,
    NumberMode,
    class_head,
    codes_of,
    numbers_head,
    refuse_quantities,
    vocabulary,
)
from runner.data.npy_format import open_npy
from runner.data.splits import EXPECTED, SPLIT_NAMES, split_of
from runner.errors import DataError
from runner.messages import did_you_mean, first_few

SUFFIX = ".npy"

LARGEST = float(np.finfo(np.float32).max)
"""The largest number of a label."""


def read_json_object(file: Path) -> dict[str, Any]:
    """The JSON object in `file`.

    Raises `DataError` with the file's path if the file cannot be read, is not JSON, gives a key twice, or holds
    something else.
    """
    try:
        content = json.loads(file.read_bytes(), object_pairs_hook=_keys_once)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} must be a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} must hold one JSON object, {{…}}; got {_json_text(content)}")
    return content


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
                raise DataError(f"{file} must have a number or a list of numbers for {name!r}, got {value!r}")
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
    if missing:
        raise DataError(
            f"{file} must have a label for every id, got none for {len(missing):,} of them: "
            f"{first_few(map(repr, missing))}"
        )
    return {split: [labels[name] for name in ids] for split, ids in partition.items()}


def _no_class(file: Path, name: str, value: Any) -> str:
    return f"{file} must have a class number or name for {name!r}, got {value!r}"


class Npy(Data):
    """Arrays of any shape in one `.npy` file per id; JSON files list the ids of each split and their labels."""

    kind: Literal["npy"] = "npy"

    root: Folder
    """The folder that holds ID.npy for every id; an id may contain folders: a/1 is a/1.npy."""

    partition: File = Path("partition.json")
    """The JSON file with the ids of each split: train, validation (or val), test."""

    labels: File = Path("labels.json")
    """The JSON file with the label of each id: a class, as a number or a name, or for class_mode=raw a number or a list
    of numbers; not read if class_mode is input or null."""

    class_mode: ClassMode | NumberMode | None = "sparse"
    """Form of `y`: sparse (class numbers), categorical (one-hot), binary, raw (one number or a row of numbers), input
    (the sample), null (nothing)."""

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """Keys whose folder or file does not exist, with its path."""
        if not is_folder(self.root):
            yield "root", self.root
        if not is_file(self.partition):
            yield "partition", self.partition
        if self._has_labels and not is_file(self.labels):
            yield "labels", self.labels

    def open(self) -> Dataset:
        """Read the JSON files and the header of the first training file.

        Raises `DataError` if the JSON files are invalid or do not fit each other.
        """
        return self._open({})

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; it may have samples of only some of its classes.

        Raises `DataError` if an id has a class that is unknown to the model.
        """
        return relabel_splits(self._open({head.name: head.class_names for head in heads}), heads)

    def array_settings(self) -> Mapping[str, Any]:
        """No settings: the array holds the values of the file."""
        return {}

    def _open(self, known: Known) -> Dataset:
        partition = read_partition(self.partition)
        heads, columns = self._encoded(partition, known)
        listed = {split: as_on_disk(self.root, Ids(names), SUFFIX) for split, names in partition.items()}
        train = listed["train"]
        reader = self.first_readable(lambda index: open_npy(self.root / f"{train[index]}{SUFFIX}"), range(len(train)))
        sources = {
            split: FileSamples(self.root, ids, Labels(heads, (columns[split],)) if heads else NO_LABELS, reader, SUFFIX)
            for split, ids in listed.items()
        }
        return self.dataset(sources, heads, (self.partition, self.labels) if self._has_labels else (self.partition,))

    @property
    def _has_labels(self) -> bool:
        return self.class_mode not in (None, "input")

    def _encoded(self, partition: Partition, known: Known) -> tuple[tuple[Head, ...], Mapping[str, Array]]:
        if self.class_mode == "raw":
            columns = read_numbers(self.labels, partition)
            return numbers_head(columns["train"][0].size), columns
        if self.class_mode in (None, "input"):
            return class_head(self.class_mode, ()), dict.fromkeys(partition, np.empty(0, np.int64))
        names = read_labels(self.labels, partition)
        heads = class_head(self.class_mode, known.get("") or vocabulary(names["train"]))
        if not known:
            refuse_quantities(self.class_mode, heads[0].class_names, len(names["train"]))
        codes = {name: code for code, name in enumerate(heads[0].class_names)}
        coded = {split: codes_of(values, codes) for split, values in names.items()}
        for split, column in coded.items():
            _refuse_unknown(self.labels, partition[split], names[split], column)
        return heads, coded


def _refuse_unknown(file: Path, ids: Sequence[str], names: Sequence[str], column: Indices) -> None:
    """Raise `DataError` if an id has a class that no training id has."""
    unknown = np.flatnonzero(column < 0)
    if len(unknown):
        found = first_few((f"{names[index]!r} of {ids[index]!r}" for index in unknown[:5]), len(unknown))
        raise DataError(f"{file} must have only classes of the training ids, got {found}")
