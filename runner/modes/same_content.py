"""Which samples have the same content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from runner.batch import Indices

Key = TypeVar("Key")

BYTES_AT_ONCE = 1 << 20
"""Bytes of a file that are held while it is hashed."""


def equal_sized(sizes: Indices) -> Indices:
    """The positions of sizes that occur more than once: only files of one size can be equal. Empty ones are not meant.

    >>> equal_sized(np.array([5, 0, 7, 0, 5, -1])).tolist()
    [0, 4]
    """
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    return np.flatnonzero((counts[inverse] > 1) & (sizes > 0))


def file_digest(path: Path) -> bytes | None:
    """SHA-256 of a file's bytes; None if they cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(BYTES_AT_ONCE):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()


def groups_of_equals(digests: Iterable[tuple[Key, bytes | None]]) -> list[list[Key]]:
    """The keys that share a digest, in the order they came; those that share none, or have none, are left out.

    >>> groups_of_equals([("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", None), ("e", None)])
    [['a', 'c']]
    """
    groups: dict[bytes, list[Key]] = {}
    for key, digest in digests:
        if digest is not None:
            groups.setdefault(digest, []).append(key)
    return [group for group in groups.values() if len(group) > 1]
