"""`loader.cache=disk`: the arrays of one split in files that later runs reuse and that running runs share.

A slot holds the array of a sample, or its arrays one after the other. Its key is a digest of the state of the sample's
files; the folder's name is a digest of all settings and versions that turn a file into an array (the recipe).

    recipe.json   what the arrays were made with, for people to read
    keys          32 bytes per slot: the key of its array; only grows, under a lock
    checksums     8 bytes per slot: the XXH3-64 of its array, seeded with its key; 0 before it is written
    arrays        one array per slot

An array counts only if its checksum matches its key, whenever it is read. So in whatever state a kill, a power failure,
a full disk or a person with `rm` leaves these files, and whenever that happens, no sample gets an array that is torn or
another sample's: it is read from its own file again, and stored again. Files are read and written by calls, never
mapped: a process that reads a mapped file dies without a message when the file is cut.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest

from runner.batch import Array, ArraySpec, Indices
from runner.data.source import Source
from runner.errors import DataError, RunnerError
from runner.fields import Fields, Layout, SampleSpec, Values, packed, unpack
from runner.messages import format_bytes, plural
from runner.place import Place
from runner.records.files import to_json, write_atomically
from runner.shared_memory import SharedArray, SharedFile

DECODERS = ("keras-runner", "numpy", "pillow", "simplejpeg", "opencv-python-headless")
"""Packages that decode and resize: another version may give other pixels."""

KEY_BYTES = 32
"""Length of a key: 128 bits as hexadecimal digits, because NumPy drops zero bytes at the end of a string."""


def recipe(settings: Mapping[str, Any], spec: SampleSpec) -> dict[str, Any]:
    """Everything that turns files into arrays: settings, shape and dtype, and versions of the decoders."""
    versions = {name: metadata.version(name) for name in DECODERS}
    if isinstance(spec, Layout):
        fields = [{"name": name, **_array_recipe(one)} for name, one in spec.specs]
        return {"settings": dict(settings), "fields": fields, "versions": versions}
    return {"settings": dict(settings), **_array_recipe(spec), "versions": versions}


def _array_recipe(spec: ArraySpec) -> dict[str, Any]:
    return {"shape": list(spec.shape), "dtype": spec.dtype.str}


def recipe_key(document: Mapping[str, Any]) -> str:
    """Digest of a recipe in hexadecimal digits."""
    return _digest(json.dumps(document, sort_keys=True))


def sample_key(places: Sequence[Place]) -> str:
    """Digest of path, size and time of change of a sample's places, in `KEY_BYTES` hexadecimal digits.

    Empty if a file is missing, or there is none. A change that keeps both size and time goes unnoticed.
    """
    try:
        return _digest("\0".join(map(_state, places))) if places else ""
    except OSError:
        return ""


def _state(place: Place) -> str:
    size, changed = place.stat()
    part = "" if place.size is None else f" {place.offset}"
    return f"{size} {changed} {os.path.abspath(place.file)}{part}"  # noqa: PTH100  (a Path costs 3 µs more)


def _digest(text: str) -> str:
    # File names may contain bytes that are not UTF-8; Python has them as lone surrogates.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES // 2).hexdigest()


VERSION = "v2"
"""Version of the layout. Each has its own folder, so that older and newer runners can share a `cache_dir`."""

KEY = np.dtype(f"S{KEY_BYTES}")
CHECKSUM = np.dtype("<u8")
SEED_DIGITS = 16
"""Hexadecimal digits of a key that seed its checksum: 64 bits."""

ATTEMPTS = 10
"""How often to create the files where the folder is deleted at the same moment."""

log = logging.getLogger("runner.disk_cache")


class Slots(NamedTuple):
    """The slot of each key, -1 for an empty one, and the files."""

    positions: Indices
    arrays: SharedFile
    checksums: SharedFile


class SlotStore:
    """The slots of one recipe; all arrays have one shape and dtype."""

    def __init__(self, folder: Path, spec: SampleSpec, recipe: Mapping[str, Any]) -> None:
        self.folder, self.spec, self._recipe = folder, spec, recipe

    @classmethod
    def of(cls, cache_dir: Path, settings: Mapping[str, Any], spec: SampleSpec) -> SlotStore:
        """The store below `cache_dir` for arrays of these settings."""
        document = recipe(settings, spec)
        return cls((cache_dir / VERSION / recipe_key(document)).absolute(), spec, document)

    def claim(self, keys: Array) -> Slots:
        """The slots of `keys`, shape `(n,)`; new keys get a slot and disk space. Missing files are created.

        Raises `DataError` if the files cannot be created, or new slots need more than half of the free disk space.
        """
        try:
            for _ in range(ATTEMPTS - 1):
                with suppress(FileNotFoundError):
                    return self._claim(keys)
            return self._claim(keys)
        except OSError as error:
            raise DataError(
                f"loader.cache_dir must be a folder that can be written: {self.folder}: "
                f"{error.strerror or error}; set another folder, or loader.cache=none"
            ) from error

    def _claim(self, keys: Array) -> Slots:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "recipe.json").exists():
            with suppress(RunnerError):  # the next file says what is wrong with the folder
                write_atomically(self.folder / "recipe.json", to_json(self._recipe), overwrite=True)
        arrays, checksums = (SharedFile(self.folder / name) for name in ("arrays", "checksums"))
        with self._locked() as file:
            known = np.frombuffer(file.read(), np.uint8)
            known = known[: len(known) // KEY_BYTES * KEY_BYTES].view(KEY)
            fresh = np.setdiff1d(keys[keys != b""], known)
            total = len(known) + len(fresh)
            self._refuse_too_large(len(fresh))
            arrays.reserve(total * self.spec.num_bytes)
            checksums.reserve(total * CHECKSUM.itemsize)
            file.seek(known.nbytes)  # overwrites the part of a key that a killed writer left
            file.write(fresh.tobytes())
        return Slots(_positions(np.concatenate([known, fresh]), keys), arrays, checksums)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file of keys under an exclusive lock; the system releases the lock if this process is killed."""
        with os.fdopen(os.open(self.folder / "keys", os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _refuse_too_large(self, num_slots: int) -> None:
        needed, free = num_slots * (self.spec.num_bytes + CHECKSUM.itemsize), shutil.disk_usage(self.folder).free
        if needed > free // 2:
            raise DataError(
                f"loader.cache=disk may use at most half of the free space in {self.folder}, {format_bytes(free // 2)} "
                f"of {format_bytes(free)}; {plural(num_slots, 'new sample')} need {format_bytes(needed)}; set "
                "loader.cache_dir to a folder on a larger disk, make the samples smaller (data.target_size), or set "
                "loader.cache=none"
            )


def _positions(known: Array, keys: Array) -> Indices:
    """The position of each of `keys` in `known`; -1 for empty keys."""
    order = np.argsort(known)
    found = np.searchsorted(known, keys, sorter=order)
    slots: Indices = np.append(order, -1)[np.minimum(found, len(order))].astype(np.int64)
    return np.where(keys == b"", -1, slots)


class DiskCache:
    """Slots for the samples of one source, by the state of their files when the cache was opened.

    Worker processes share the checksums that are known, and the open files.
    """

    def __init__(self, source: Source, store: SlotStore, keys: Array) -> None:
        self._source, self._keys = source, keys
        self.folder, self._is_full = store.folder, False
        self._row_bytes = store.spec.num_bytes
        self._slots, self._arrays, self._checksums = store.claim(keys)
        self._seeds = np.array([int(key[:SEED_DIGITS] or b"0", 16) for key in keys.tolist()], np.uint64)
        self._known = SharedArray((len(keys),), CHECKSUM)
        num_slots = int(np.max(self._slots, initial=-1)) + 1
        stored = np.frombuffer(self._checksums.read(num_slots * CHECKSUM.itemsize, 0), CHECKSUM)
        has_slot = self._slots >= 0
        self._known.array[has_slot] = stored[self._slots[has_slot]]

    @classmethod
    def open(cls, source: Source, cache_dir: Path, settings: Mapping[str, Any]) -> DiskCache:
        """The cache of `source` below `cache_dir`, with disk space for all samples; reads the state of each file.

        Raises `DataError` if there is no space, or the folder cannot be written.
        """
        keys = np.array([sample_key(source.places(index)) for index in range(len(source))], KEY)
        return cls(source, SlotStore.of(cache_dir, settings, source.spec), keys)

    @property
    def num_found(self) -> int:
        """Number of samples that were stored when the cache was opened, or have been stored since."""
        return int(np.count_nonzero(self._known.array))

    def holds(self, indices: Indices) -> bool:
        """Whether the arrays of all samples at `indices` seem to be stored."""
        return bool(self._known.array[indices].all())

    def take(self, indices: Indices, out: Values) -> Indices:
        """Copy the arrays at `indices` into the rows of `out`, C-contiguous; returns the rows that are not stored."""
        if not isinstance(out, Fields):
            return self._take(indices, out)
        rows = np.empty((len(indices), self._row_bytes), np.uint8)
        missing = self._take(indices, rows)
        unpack(rows, out)
        return missing

    def _take(self, indices: Indices, out: Array) -> Indices:
        memory, size, missing = _bytes_of(out), self._row_bytes, []
        slots, seeds = self._slots[indices].tolist(), self._seeds[indices].tolist()
        end, fill = 0, self._arrays.fill
        for row, checksum in enumerate(self._known.array[indices].tolist()):
            begin, end = end, end + size
            values, slot = memory[begin:end], slots[row]
            expected = checksum or self._stored_checksum(slot)
            if not (expected and fill(values, slot * size) and xxh3_64_intdigest(values, seeds[row]) == expected):
                missing.append(row)
        if missing:
            self._known.array[indices[missing]] = 0
        return np.array(missing, np.int64)

    def put(self, indices: Indices, rows: Values) -> None:
        """Store copies of `rows`; not of files that changed since `open`.

        Once that fails, as on a full disk, no more samples are stored.
        """
        if self._is_full:
            return
        memory, size = _bytes_of(packed(rows)), self._row_bytes
        for row, index in enumerate(indices.tolist()):
            slot = int(self._slots[index])
            if slot >= 0 and sample_key(self._source.places(index)).encode() == self._keys[index]:
                values = memory[row * size : (row + 1) * size]
                checksum = _checksum(values, int(self._seeds[index]))
                try:
                    self._arrays.write(values, slot * size)
                    self._checksums.write(checksum.to_bytes(CHECKSUM.itemsize, "little"), slot * CHECKSUM.itemsize)
                except OSError as error:
                    self._is_full = True
                    log.warning(
                        "loader.cache=disk stores no more samples: %s: %s", self.folder, error.strerror or error
                    )
                    return
                self._known.array[index] = checksum

    def _stored_checksum(self, slot: int) -> int:
        """The checksum of a slot that another run may have written since; 0 if none has."""
        if slot < 0:
            return 0
        return int.from_bytes(self._checksums.read(CHECKSUM.itemsize, slot * CHECKSUM.itemsize), "little")


def _bytes_of(arrays: Array) -> memoryview:
    """The memory of a C-contiguous array."""
    memory: memoryview = arrays.reshape(-1).view(np.uint8).data
    return memory


def _checksum(values: memoryview, seed: int) -> int:
    """XXH3-64, seeded by the key, so that an array counts for one key only."""
    return xxh3_64_intdigest(values, seed)
