"""`data=arrays`: arrays in one `.npz` file."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from runner.batch import Array, ArraySpec
from runner.component import File, is_file
from runner.data.dataset import Data, Dataset
from runner.data.labels import NO_LABELS, ClassMode, Labels, class_head, encode_classes, refuse_quantities
from runner.data.npy_format import parse_stream
from runner.data.source import Source
from runner.data.splits import split_of
from runner.errors import DataError
from runner.finite import narrowed
from runner.machine import available_bytes
from runner.messages import first_few, format_bytes

NAME = re.compile(r"(x|y)(?:_(\w+))?", re.IGNORECASE)
"""Names of arrays that are read: x, y, and these with the name of a split."""


@dataclass(frozen=True)
class ArraySamples(Source):
    """The rows of one array in memory; the id of a sample is its split and row.

    Worker processes load the array from the file themselves: pickling leaves it out.
    """

    file: Path
    name: str
    split: str
    labels: Labels
    rows: Array

    @cached_property
    def ids(self) -> list[str]:
        """`train-0`, `train-1`, …; unique in the file."""
        return [f"{self.split}-{row}" for row in range(len(self.rows))]

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of a row."""
        return ArraySpec(self.rows.shape[1:], self.rows.dtype)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int, out: Array | None = None) -> Array:
        """Copy row `index`."""
        row: Array = self.rows[index]
        if out is None:
            return row.copy()
        out[...] = row
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "name": self.name, "split": self.split, "labels": self.labels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(
            state, rows=_rows(_load(state["file"], [state["name"]])[state["name"]], state["file"], state["name"])
        )


@dataclass(frozen=True)
class ArchiveNames:
    """The names of the arrays `x` and `y` of each split, and of the arrays that are not read."""

    x: Mapping[str, str]
    y: Mapping[str, str]
    unread: tuple[str, ...]

    def y_of(self, split: str) -> str:
        """The name of the labels, or the name they should have."""
        return self.y.get(split) or f"y{self.x[split][1:]}"


def find_names(file: Path, names: Iterable[str]) -> ArchiveNames:
    """Sort the names of arrays; `x` and `y` without a split, or as `x_train` and `y_train`, are for training.

    Raises `DataError` if two names mean the same.
    """
    found: dict[str, dict[str, str]] = {"x": {}, "y": {}}
    unread = []
    for name in names:
        match = NAME.fullmatch(name)
        split = split_of(match[2] or "train") if match else None
        if match is None or split is None:
            unread.append(name)
            continue
        same = found[match[1].lower()]
        if split in same:
            raise DataError(f"{file} must hold each array once, got both {same[split]} and {name}; leave one out")
        same[split] = name
    lonely = [name for split, name in found["y"].items() if split not in found["x"]]
    return ArchiveNames(found["x"], found["y"], (*unread, *lonely))


class Arrays(Data):
    """Arrays `x` and `y` of one `.npz` file, or `x_train` and `y_train`; optionally `x_val`, `y_val`, `x_test`, …"""

    kind: Literal["arrays"] = "arrays"

    path: File
    """The `.npz` file."""

    class_mode: ClassMode | None = "sparse"
    """Form of `y`: sparse (class numbers), categorical (one-hot), binary, input (the sample), null (nothing)."""

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """The key of the file, if the file does not exist."""
        if not is_file(self.path):
            yield "path", self.path

    def open(self) -> Dataset:
        """Load the arrays.

        Raises `DataError` if the file is not an `.npz` file, has no `x`, or its arrays do not fit each other.
        """
        arrays = _load(self.path)
        names = find_names(self.path, arrays)
        if "train" not in names.x:
            raise DataError(
                f"{self.path} must hold an array x, got {', '.join(arrays) or 'no arrays'}; name it x or x_train, and "
                "its labels y or y_train"
            )
        rows = {split: _rows(arrays[name], self.path, name) for split, name in names.x.items()}
        self._refuse_other_shapes(rows, names)
        labels = self._labels(arrays, rows, names)
        sources = {
            split: ArraySamples(self.path, names.x[split], split, labels[split], array) for split, array in rows.items()
        }
        dataset = self.dataset(sources, labels["train"].heads, files=(self.path,))
        if not names.unread:
            return dataset
        are = "are" if len(names.unread) > 1 else "is"
        note = f"{first_few(names.unread)} in {self.path} {are} not read; names are x, y, x_val, y_val, x_test, y_test"
        return replace(dataset, notes=(note, *dataset.notes))

    def _refuse_other_shapes(self, rows: Mapping[str, Array], names: ArchiveNames) -> None:
        expected = rows["train"]
        for split, array in rows.items():
            if (array.shape[1:], array.dtype) != (expected.shape[1:], expected.dtype):
                raise DataError(
                    f"{self.path}: {names.x[split]} must hold samples like those of {names.x['train']}, "
                    f"{_sample_spec(expected)}; got {_sample_spec(array)}"
                )

    def _labels(self, arrays: Mapping[str, Array], rows: Mapping[str, Array], names: ArchiveNames) -> dict[str, Labels]:
        if self.class_mode is None:
            return dict.fromkeys(rows, NO_LABELS)
        if self.class_mode == "input":
            return dict.fromkeys(rows, Labels(class_head("input", ()), (np.empty(0, np.int64),)))
        values = {split: self._classes(arrays, names.y_of(split), len(array)) for split, array in rows.items()}
        one_hot = [y for split in rows if _is_one_hot(y := arrays[names.y_of(split)])]
        # Every one-hot column is a class, even if no sample has it.
        columns = np.arange(max((y.shape[1] for y in one_hot), default=0))
        class_names, codes = encode_classes(np.concatenate([*values.values(), columns]))
        heads = class_head(self.class_mode, class_names)
        refuse_quantities(self.class_mode, class_names, len(values["train"]))
        ends = np.cumsum([len(column) for column in values.values()])  # the last part, the columns, is dropped
        return {split: Labels(heads, (column,)) for split, column in zip(values, np.split(codes, ends), strict=False)}

    def _classes(self, arrays: Mapping[str, Array], name: str, num_samples: int) -> Array:
        if name not in arrays:
            raise DataError(
                f"{self.path} must hold an array {name} for data.class_mode={self.class_mode}, got "
                f"{', '.join(arrays)}; for data without labels set data.class_mode=null or input"
            )
        values = _class_column(arrays[name])
        if values is None or len(values) != num_samples:
            raise DataError(
                f"{self.path}: {name} must hold one class per sample, of shape ({num_samples},), or one-hot rows; "
                f"got shape {arrays[name].shape} of {arrays[name].dtype}; data=dataframe and data=custom read targets "
                "that are not classes, and data.class_mode=null leaves them out"
            )
        return values


def _class_column(values: Array) -> Array | None:
    """One class per sample, shape `(n,)`, from class numbers, names or one-hot rows; None for other values."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1 and values.dtype.kind in "bUS":
        return values.astype(str) if values.dtype.kind == "S" else values
    if _is_one_hot(values):
        codes: Array = np.argmax(values, axis=1)
        return codes
    if values.ndim == 1 and values.dtype.kind in "iuf" and bool((values == np.rint(values)).all()):
        return values.astype(np.int64)
    return None


def _is_one_hot(values: Array) -> bool:
    if values.ndim != 2 or values.shape[1] == 1 or values.dtype.kind not in "iubf":
        return False
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def _sample_spec(rows: Array) -> str:
    return str(ArraySpec(rows.shape[1:], rows.dtype))


def _rows(array: Array, file: Path, name: str) -> Array:
    """The samples of an array as numbers in native byte order; float64 becomes float32."""
    if array.ndim < 2 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{file}: {name} must hold numbers, of shape (samples, …) with at least two dimensions, got shape "
            f"{array.shape} of {array.dtype}; numpy.reshape({name}, (-1, 1)) makes each number a sample"
        )
    return narrowed(array)


def _refuse_too_large(file: Path, archive: zipfile.ZipFile) -> None:
    """Raise `DataError` if an array claims more values than the file holds, or all do not fit into memory."""
    needed = 0
    for info in archive.infolist():
        with archive.open(info) as member:
            if not info.filename.endswith(".npy") or not info.file_size:
                continue
            shape, _, dtype = parse_stream(member)
            size, rest = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
        if size > rest and not dtype.hasobject:
            raise ValueError(f"{info.filename} ends after {rest:,} of {size:,} bytes of values")
        needed += size
    if needed > (available := available_bytes()):
        raise DataError(
            f"data=arrays loads all arrays of {file}, {format_bytes(needed)}, but only {format_bytes(available)} of "
            "memory are free; save each sample as a file of its own, which data=npy reads while training"
        )


def _load(file: Path, names: list[str] | None = None) -> dict[str, Array]:
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as members:
                _refuse_too_large(file, members)
        archive = np.load(file, allow_pickle=False, mmap_mode="r")  # a single array is refused, not loaded
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(
                f"{file} must be an .npz file of named arrays, got a single array; write it with numpy.savez"
            )
        with archive:
            arrays = {name: archive[name] for name in names or archive.files}
    except (
        OSError,
        ValueError,
        TypeError,
        OverflowError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(f"{file} must be an .npz file of arrays without Python objects: {error}") from error
    # Members that are not arrays come as bytes.
    return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}
