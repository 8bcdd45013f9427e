"""The files of a disk cache: slots for arrays of one size, which runs that go on at the same time share.

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
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from runner.batch import Array, ArraySpec, Indices
from runner.errors import DataError
from runner.loaders.cache_key import KEY_BYTES, recipe, recipe_key
from runner.machine import format_bytes
from runner.records.files import to_json, write_atomically

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
