"""`loader.cache=disk`: the arrays of one split in files that later runs find again, and others use meanwhile.

What makes a kept array the right one: the state of its file, and all that turns the file into an array.

The files of a disk cache: slots for arrays of one size, which runs that go on at the same time share.

    recipe.json   what the arrays were made with, for a person to read
    keys          32 bytes a slot: whose array it holds; only ever grows, under a lock
    checksums     8 bytes a slot: the CRC-32 of its array and a bit that says there is one; 0 before
    arrays        one array a slot

A slot belongs to its key for ever, so that writers that meet there write the same bytes. An array counts only while
its checksum is the one beside it: whenever a process is killed or the power fails, and in whatever order the system
had written the files by then, what is half there does not count and is read and written again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.data.source import Source
from runner.errors import DataError
from runner.loaders.buffers import PRESENT, SharedArray
from runner.messages import format_bytes
from runner.records.files import to_json, write_atomically

DECODERS = ("keras-runner", "numpy", "pillow", "simplejpeg", "opencv-python-headless")
"""What decodes and resizes: another version may give other pixels."""

KEY_BYTES = 32
"""Of a key as text: 128 bits in hexadecimal digits, for NumPy takes zeros at the end of bytes for nothing."""


def recipe(settings: Mapping[str, Any], spec: ArraySpec) -> dict[str, Any]:
    """All that makes an array of a file: the settings, shape and dtype, and the versions of the decoders."""
    return {
        "settings": dict(settings),
        "shape": list(spec.shape),
        "dtype": spec.dtype.str,
        "versions": {name: metadata.version(name) for name in DECODERS},
    }


def recipe_key(document: Mapping[str, Any]) -> str:
    """Hexadecimal digits that no other recipe has."""
    return _digest(json.dumps(document, sort_keys=True))


def file_key(path: Path | None) -> str:
    """`KEY_BYTES` hexadecimal digits for a file as it is now: its path, size and time of change.

    Empty text if it is missing. A file that changed and kept both its size and its time goes unnoticed.
    """
    if path is None:
        return ""
    try:
        status = os.stat(path)  # noqa: PTH116  (Path.stat costs 1 µs more)
    except OSError:
        return ""
    return _digest(f"{status.st_size} {status.st_mtime_ns} {os.path.abspath(path)}")  # noqa: PTH100


def _digest(text: str) -> str:
    # File names may hold bytes that are no UTF-8; Python has them as lone surrogates.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES // 2).hexdigest()


VERSION = "v1"
"""Of the layout; a folder of its own for each, so that older and newer runners share a `cache_dir`."""

KEY = np.dtype(f"S{KEY_BYTES}")
CHECKSUM = np.dtype("<u8")


class Store:
    """The slots of one recipe: all arrays in it have one shape and dtype."""

    def __init__(self, folder: Path, spec: ArraySpec) -> None:
        self.folder, self.spec = folder, spec

    @classmethod
    def of(cls, cache_dir: Path, settings: Mapping[str, Any], spec: ArraySpec) -> Store:
        """The store below `cache_dir` for arrays made with these settings; made if it is not there.

        Raises `DataError` if it cannot be made.
        """
        document = recipe(settings, spec)
        store = cls((cache_dir / VERSION / recipe_key(document)).absolute(), spec)
        with store._telling():
            store.folder.mkdir(parents=True, exist_ok=True)
            if not (store.folder / "recipe.json").exists():
                write_atomically(store.folder / "recipe.json", to_json(document), overwrite=True)
        return store

    def claim(self, keys: Array) -> Indices:
        """The slot of each of `keys`, shape `(n,)`; those that have none yet get one, and room on the disk.

        An empty key has slot -1. Raises `DataError` with the figures if the new slots take more than half of what
        is free.
        """
        with self._telling(), self._locked() as file:
            known = np.frombuffer(file.read(), np.uint8)
            known = known[: len(known) // KEY_BYTES * KEY_BYTES].view(KEY)
            fresh = np.setdiff1d(keys[keys != b""], known)
            total = len(known) + len(fresh)
            self._refuse_too_large(len(fresh))
            _reserve(self.folder / "arrays", max(1, total) * self.spec.num_bytes)  # a file of nothing cannot be mapped
            _reserve(self.folder / "checksums", max(1, total) * CHECKSUM.itemsize)
            file.seek(known.nbytes)  # what a killed writer left of a key is overwritten
            file.write(fresh.tobytes())
        return _positions(np.concatenate([known, fresh]), keys)

    def map(self, num_slots: int) -> tuple[Array, Array]:
        """The arrays and the checksums of the first `num_slots` slots, as they lie on the disk."""
        shape = (num_slots, *self.spec.shape)
        arrays = np.memmap(self.folder / "arrays", self.spec.dtype, "r+", shape=shape)
        checksums = np.memmap(self.folder / "checksums", CHECKSUM, "r+", shape=(num_slots,))
        return arrays.view(np.ndarray), checksums.view(np.ndarray)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file of keys, which nobody else has open here meanwhile; the system lets go if we are killed."""
        with os.fdopen(os.open(self.folder / "keys", os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"loader.cache_dir must be a folder the cache can be written to: {self.folder}: "
                f"{error.strerror or error}; set another, or loader.cache=none"
            ) from error

    def _refuse_too_large(self, num_slots: int) -> None:
        needed, free = num_slots * (self.spec.num_bytes + CHECKSUM.itemsize), shutil.disk_usage(self.folder).free
        if needed > free // 2:
            raise DataError(
                f"loader.cache=disk must take at most half of what is free in {self.folder}, {format_bytes(free // 2)} "
                f"of {format_bytes(free)}; got {num_slots:,} samples to add, {format_bytes(needed)}; set "
                "loader.cache_dir to a larger disk, make the samples smaller (data.target_size), or set "
                "loader.cache=none"
            )


def _reserve(file: Path, num_bytes: int) -> None:
    """Take the room now: a disk that fills up while a mapped file is written ends the process without a word."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        if num_bytes > size:
            os.posix_fallocate(descriptor, size, num_bytes - size)
    finally:
        os.close(descriptor)


def _positions(known: Array, keys: Array) -> Indices:
    """Where each of `keys` stands in `known`, which holds all but the empty ones; -1 for those."""
    order = np.argsort(known)
    found = np.searchsorted(known, keys, sorter=order)
    slots: Indices = np.append(order, -1)[np.minimum(found, len(order))].astype(np.int64)
    return np.where(keys == b"", -1, slots)


WRITTEN = 1 << 32
"""The bit of a checksum that tells an array's from none."""


class DiskCache:
    """Slots of a store for the samples of one source, by the state their files had when it was opened.

    The checksum of what lies there already is compared once, at its first use, and shared with worker processes.
    """

    def __init__(self, source: Source, store: Store, keys: Array) -> None:
        self._store, self._source, self._keys = store, source, keys
        self._slots = store.claim(keys)
        self._present = SharedArray((len(keys),), PRESENT)

    @classmethod
    def open(cls, source: Source, cache_dir: Path, settings: Mapping[str, Any]) -> DiskCache:
        """The cache of `source` below `cache_dir`, with room for all its samples; looks at the state of each file.

        Raises `DataError` if there is no room, or nothing can be written there.
        """
        keys = np.array([file_key(path) for path in source.paths()], KEY)
        return cls(source, Store.of(cache_dir, settings, source.spec), keys)

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self._store.folder

    @property
    def num_found(self) -> int:
        """Samples whose arrays are on the disk by now."""
        checksums = self._mapped[1]
        return int((checksums[self._slots[self._slots >= 0]] != 0).sum())

    def holds(self, indices: Indices) -> bool:
        """Whether the arrays of all samples at `indices` are here, and known to be whole."""
        return bool(self._present.array[indices].all())

    def find(self, index: int) -> bool:
        """Whether the array of sample `index` is here and whole; compares its checksum at the first use."""
        if not self._present.array[index] and (slot := self._slots[index]) >= 0:
            arrays, checksums = self._mapped
            written = int(checksums[slot])
            self._present.array[index] = written != 0 and written == _checksum(arrays[slot])
        return bool(self._present.array[index])

    def take(self, indices: Indices, out: Array) -> None:
        """Copy the arrays at `indices`, all of them here, to the rows of `out`."""
        np.take(self._mapped[0], self._slots[indices], axis=0, out=out, mode="clip")  # mode: "raise" would buffer first

    def put(self, indices: Indices, arrays: Array) -> None:
        """Store copies of `arrays`, shape `(len(indices), *spec.shape)`; not of files that changed since `open`."""
        slots, checksums = self._mapped
        for index, array in zip(indices.tolist(), arrays, strict=True):
            slot = self._slots[index]
            if slot >= 0 and file_key(self._source.path(index)).encode() == self._keys[index]:
                slots[slot] = array
                checksums[slot] = _checksum(array)
                self._present.array[index] = True

    @cached_property
    def _mapped(self) -> tuple[Array, Array]:
        return self._store.map(int(np.max(self._slots, initial=0)) + 1)

    def __getstate__(self) -> dict[str, Any]:
        # Each process maps the files itself.
        return {name: value for name, value in self.__dict__.items() if name != "_mapped"}


def _checksum(array: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data) | WRITTEN
