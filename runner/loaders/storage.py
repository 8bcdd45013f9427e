"""Lost storage: a mount or a folder that is gone in the middle of a run, which is no fault of the samples."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TypeGuard

import numpy as np

from runner.data.source import Source
from runner.errors import BadSampleError, StorageError
from runner.messages import plural

MACHINE_ERRORS = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""System errors of opening a file that say nothing about the file or its storage."""

MOST_OTHERS = 100
"""Most other samples to try. If none of them can be read, the storage is to blame."""


def refuse_lost_storage(source: Source, error: BadSampleError) -> None:
    """Raise `StorageError` if the system cannot read the sample of `error`, nor any of up to `MOST_OTHERS` others.

    A file that is missing from a folder that is there says nothing about the storage.
    """
    cause = error.__cause__
    if not _is_of_system(cause) or cause.errno in MACHINE_ERRORS or _is_only_missing(cause, error.name):
        return
    others = np.linspace(0, len(source) - 1, min(len(source), MOST_OTHERS), dtype=np.int64).tolist()
    if any(_is_readable(source, index) for index in others):
        return
    raise StorageError(
        f"the storage of the data cannot be read any more: {error.name}: {error.reason}, and none of "
        f"{plural(len(others), 'sample')} tried after it can be read; make the files available again"
    )


def _is_of_system(error: BaseException | None) -> TypeGuard[OSError]:
    """Whether the system refused; Pillow raises an `OSError` without a number for a damaged image."""
    return isinstance(error, OSError) and error.errno is not None


def _is_only_missing(cause: OSError, name: str) -> bool:
    return cause.errno == errno.ENOENT and Path(cause.filename or name).parent.is_dir()


def _is_readable(source: Source, index: int) -> bool:
    """Whether a sample can be read; of its bytes only the first is read, past all caches."""
    places = source.places(index)
    try:
        if places:
            places[0].head(1)
        else:
            source.read(index)
    except (OSError, BadSampleError) as error:
        return not _is_of_system(error if isinstance(error, OSError) else error.__cause__)
    return True
