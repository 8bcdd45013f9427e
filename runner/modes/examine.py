"""Whether a single sample can be read, and is what its name says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from runner.batch import Array
from runner.data.source import FileSource, Source, has_files
from runner.errors import BadSampleError
from runner.images.reader import HEAD, misnamed, reason

Fault = Literal["missing", "empty", "unreadable", "misnamed"]

UNKNOWN = -1
"""The size of a file that is not there."""


@dataclass(frozen=True)
class Examined:
    """What was found of one sample: what is wrong with it and why, and what tells equal ones apart.

    `size` is the file's in bytes, of samples without a file the array's; `digest` is the array's, where there is no
    file.
    """

    size: int
    digest: bytes | None = None
    fault: Fault | None = None
    reason: str = ""


def examine(source: Source, index: int) -> Examined:
    """Read sample `index` as a loader does."""
    pixels = np.empty(source.spec.shape, source.spec.dtype)
    if has_files(source):
        return _examine_file(source, index, pixels)
    try:
        source.read(index, pixels)
    except BadSampleError as error:
        return Examined(UNKNOWN, fault="unreadable", reason=error.reason)
    return Examined(pixels.nbytes, digest=hashlib.sha256(pixels.tobytes()).digest())


def _examine_file(source: FileSource, index: int, pixels: Array) -> Examined:
    path = source.path(index)
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        return Examined(UNKNOWN, fault="missing", reason=reason(error))
    except OSError as error:
        return Examined(UNKNOWN, fault="unreadable", reason=reason(error))
    if size == 0:
        return Examined(size, fault="empty", reason="empty file")
    try:
        source.read(index, pixels)
    except BadSampleError as error:
        return Examined(size, fault="unreadable", reason=error.reason)
    wrong = misnamed(path.name, _head(path))
    return Examined(size) if wrong is None else Examined(size, fault="misnamed", reason=wrong)


def _head(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(HEAD)
