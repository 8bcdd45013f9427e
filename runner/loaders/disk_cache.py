"""`loader.cache=disk`: the arrays of one split in files that later runs reuse and that running runs share.

A slot holds one array. Its key is a digest of the state of the sample's file; the folder's name is a digest of all
settings and versions that turn a file into an array (the recipe).

    recipe.json   what the arrays were made with, for people to read
    keys          32 bytes per slot: the key of its array; only grows, under a lock
    checksums     8 bytes per slot: the CRC-32 of its array and a bit that marks it as written; 0 before
    arrays        one array per slot

A slot keeps its key for ever, so two writers of one slot write the same bytes. An array counts only if its checksum
matches. So after a kill or a power failure, in whatever order the system wrote the files, a half-written array does not
count; it is read and written again.
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
from runner.messages import format_bytes, plural
from runner.records.files import to_json, write_atomically

DECODERS = ("keras-runner", "numpy", "pillow", "simplejpeg", "opencv-python-headless")
"""Packages that decode and resize: another version may give other pixels."""

KEY_BYTES = 32
"""Length of a key: 128 bits as hexadecimal digits, because NumPy drops zero bytes at the end of a string."""


def recipe(settings: Mapping[str, Any], spec: ArraySpec) -> dict[str, Any]:
    """Everything that turns a file into an array: settings, shape and dtype, and versions of the decoders."""
    return {
        "settings": dict(settings),
        "shape": list(spec.shape),
        "dtype": spec.dtype.str,
        "versions": {name: metadata.version(name) for name in DECODERS},
    }


def recipe_key(document: Mapping[str, Any]) -> str:
    """Digest of a recipe in hexadecimal digits."""
    return _digest(json.dumps(document, sort_keys=True))


def file_key(path: Path | None) -> str:
    """Digest of a file's path, size and time of change, in `KEY_BYTES` hexadecimal digits; empty if it is missing.

    A change that keeps both size and time goes unnoticed.
    """
    if path is None:
        return ""
    try:
        status = os.stat(path)  # noqa: PTH116  (Path.stat costs 1 µs more)
    except OSError:
        return ""
    return _digest(f"{status.st_size} {status.st_mtime_ns} {os.path.abspath(path)}")  # noqa: PTH100


def _digest(text: str) -> str:
    # File names may contain bytes that are not UTF-8; Python has them as lone surrogates.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES // 2).hexdigest()


VERSION = "v1"
"""Version of the layout. Each has its own folder, so that older and newer runners can share a `cache_dir`."""

KEY = np.dtype(f"S{KEY_BYTES}")
CHECKSUM = np.dtype("<u8")


class SlotStore:
    """The slots of one recipe; all arrays have one shape and dtype."""

    def __init__(self, folder: Path, spec: ArraySpec) -> None:
        self.folder, self.spec = folder, spec

    @classmethod
    def of(cls, cache_dir: Path, settings: Mapping[str, Any], spec: ArraySpec) -> SlotStore:
        """The store below `cache_dir` for arrays of these settings; created if it is missing.

        Raises `DataError` if it cannot be created.
        """
        document = recipe(settings, spec)
        store = cls((cache_dir / VERSION / recipe_key(document)).absolute(), spec)
        with store._reporting_errors():
            store.folder.mkdir(parents=True, exist_ok=True)
            if not (store.folder / "recipe.json").exists():
                write_atomically(store.folder / "recipe.json", to_json(document), overwrite=True)
        return store

    def claim(self, keys: Array) -> Indices:
        """The slot of each of `keys`, shape `(n,)`; new keys get a slot and disk space. An empty key has slot -1.

        Raises `DataError` if the new slots need more than half of the free disk space.
        """
        with self._reporting_errors(), self._locked() as file:
            known = np.frombuffer(file.read(), np.uint8)
            known = known[: len(known) // KEY_BYTES * KEY_BYTES].view(KEY)
            fresh = np.setdiff1d(keys[keys != b""], known)
            total = len(known) + len(fresh)
            self._refuse_too_large(len(fresh))
            _reserve(self.folder / "arrays", max(1, total) * self.spec.num_bytes)  # an empty file cannot be mapped
            _reserve(self.folder / "checksums", max(1, total) * CHECKSUM.itemsize)
            file.seek(known.nbytes)  # overwrites the part of a key that a killed writer left
            file.write(fresh.tobytes())
        return _positions(np.concatenate([known, fresh]), keys)

    def map(self, num_slots: int) -> tuple[Array, Array]:
        """The arrays and checksums of the first `num_slots` slots, mapped from disk."""
        shape = (num_slots, *self.spec.shape)
        arrays = np.memmap(self.folder / "arrays", self.spec.dtype, "r+", shape=shape)
        checksums = np.memmap(self.folder / "checksums", CHECKSUM, "r+", shape=(num_slots,))
        return arrays.view(np.ndarray), checksums.view(np.ndarray)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file of keys under an exclusive lock; the system releases the lock if this process is killed."""
        with os.fdopen(os.open(self.folder / "keys", os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"loader.cache_dir must be a folder that can be written: {self.folder}: "
                f"{error.strerror or error}; set another folder, or loader.cache=none"
            ) from error

    def _refuse_too_large(self, num_slots: int) -> None:
        needed, free = num_slots * (self.spec.num_bytes + CHECKSUM.itemsize), shutil.disk_usage(self.folder).free
        if needed > free // 2:
            raise DataError(
                f"loader.cache=disk may use at most half of the free space in {self.folder}, {format_bytes(free // 2)} "
                f"of {format_bytes(free)}; {plural(num_slots, 'new sample')} need {format_bytes(needed)}; set "
                "loader.cache_dir to a folder on a larger disk, make the samples smaller (data.target_size), or set "
                "loader.cache=none"
            )


def _reserve(file: Path, num_bytes: int) -> None:
    """Allocate the disk space now: writing to a mapped file on a full disk kills the process without a message."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        if num_bytes > size:
            os.posix_fallocate(descriptor, size, num_bytes - size)
    finally:
        os.close(descriptor)


def _positions(known: Array, keys: Array) -> Indices:
    """The position of each of `keys` in `known`; -1 for empty keys."""
    order = np.argsort(known)
    found = np.searchsorted(known, keys, sorter=order)
    slots: Indices = np.append(order, -1)[np.minimum(found, len(order))].astype(np.int64)
    return np.where(keys == b"", -1, slots)


WRITTEN = 1 << 32
"""The bit of a checksum that marks its array as written."""


class DiskCache:
    """Slots for the samples of one source, by the state of their files when the cache was opened.

    The checksum of an array from an earlier run is compared once, at its first use; worker processes share the result.
    """

    def __init__(self, source: Source, store: SlotStore, keys: Array) -> None:
        self._store, self._source, self._keys = store, source, keys
        self._slots = store.claim(keys)
        self._present = SharedArray((len(keys),), PRESENT)

    @classmethod
    def open(cls, source: Source, cache_dir: Path, settings: Mapping[str, Any]) -> DiskCache:
        """The cache of `source` below `cache_dir`, with disk space for all samples; reads the state of each file.

        Raises `DataError` if there is no space, or the folder cannot be written.
        """
        keys = np.array([file_key(path) for path in source.paths()], KEY)
        return cls(source, SlotStore.of(cache_dir, settings, source.spec), keys)

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self._store.folder

    @property
    def num_found(self) -> int:
        """Number of samples whose arrays are on disk now."""
        checksums = self._mapped[1]
        return int((checksums[self._slots[self._slots >= 0]] != 0).sum())

    def holds(self, indices: Indices) -> bool:
        """Whether the arrays of all samples at `indices` are stored, with compared checksums."""
        return bool(self._present.array[indices].all())

    def find(self, index: int) -> bool:
        """Whether the array of sample `index` is stored and whole; compares its checksum at the first use."""
        if not self._present.array[index] and (slot := self._slots[index]) >= 0:
            arrays, checksums = self._mapped
            written = int(checksums[slot])
            self._present.array[index] = written != 0 and written == _checksum(arrays[slot])
        return bool(self._present.array[index])

    def take(self, indices: Indices, out: Array) -> None:
        """Copy the arrays at `indices`, all stored, into the rows of `out`."""
        # mode="clip" writes straight into `out`; the default copies into a buffer first.
        np.take(self._mapped[0], self._slots[indices], axis=0, out=out, mode="clip")

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
