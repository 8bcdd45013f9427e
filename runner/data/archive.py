"""The `.npz` file of `data=arrays`: its arrays, and what their names mean."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.batch import Array
from runner.data.division import split_of
from runner.data.npy_format import parse_stream
from runner.errors import DataError
from runner.machine import available_bytes
from runner.messages import format_bytes

SPLIT = r"(?:_(\w+))?"
"""The end of an array's name: the name of its split."""


@dataclass(frozen=True)
class ArchiveNames:
    """The names of the arrays `x`, `y` and weights of each split, and of the arrays that are not read."""

    x: Mapping[str, str]
    y: Mapping[str, str]
    weights: Mapping[str, str]
    unread: tuple[str, ...]

    def y_of(self, split: str) -> str:
        """The name of the labels, or the name they should have."""
        return self.y.get(split) or f"y{self.x[split][1:]}"


def find_names(file: Path, names: Iterable[str], weights: str | None = None) -> ArchiveNames:
    """Sort the names of arrays; `x` and `y` without a split, or as `x_train` and `y_train`, are for training.

    `weights` is the name of the weights for training. Raises `DataError` if two names mean the same.
    """
    kinds = {"x": "x", "y": "y", (weights or "").lower(): "weights"}
    pattern = re.compile(f"({'|'.join(map(re.escape, filter(None, kinds)))}){SPLIT}", re.IGNORECASE)
    found: dict[str, dict[str, str]] = {"x": {}, "y": {}, "weights": {}}
    unread = []
    for name in names:
        match = pattern.fullmatch(name)
        split = split_of(match[2] or "train") if match else None
        if match is None or split is None:
            unread.append(name)
            continue
        same = found[kinds[match[1].lower()]]
        if split in same:
            raise DataError(f"{file} must hold each array once, got both {same[split]} and {name}; leave one out")
        same[split] = name
    lonely = [name for kind in ("y", "weights") for split, name in found[kind].items() if split not in found["x"]]
    return ArchiveNames(found["x"], found["y"], found["weights"], (*unread, *lonely))


def load_archive(file: Path, names: list[str] | None = None) -> dict[str, Array]:
    """The arrays of `file`, all or those named.

    Raises `DataError` if it is not an `.npz` file, holds Python objects, or does not fit into memory.
    """
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
            arrays = {name: _read(file, name, archive) for name in names or archive.files}
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


def _read(file: Path, name: str, archive: np.lib.npyio.NpzFile) -> Array:
    try:
        array: Array = archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{file}: {name} must hold numbers or texts, got Python objects, which are never loaded; convert it before "
            f"numpy.savez, as in {name}.astype(str)"
        ) from error
    return array


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
