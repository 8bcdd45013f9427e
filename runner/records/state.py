"""The state a run can go on from: written whole beside the one before it, checked when it is read."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array
from runner.records.files import replacing

KEPT = 2
"""States kept: should the newest be damaged, there is the one before."""

DOCUMENT = "document"
FILE = re.compile(r"state-(\d{12})\.npz")

log = logging.getLogger("runner.state")


@dataclass(frozen=True)
class State:
    """All that the rest of a training depends on, after `step` steps: arrays by name, and plain values."""

    step: int
    arrays: Mapping[str, Array]
    document: Mapping[str, Any]


class StateWriter:
    """Writes states into a folder in a thread of its own, one after the other.

    Training goes on while a state is being written; the next one waits for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._pending: Future[None] | None = None

    def write(self, state: State) -> None:
        """Begin to write `state`, once the one before it is written.

        The arrays must not change any more. Raises `RunnerError` if the one before could not be written.
        """
        self.wait()
        self._pending = self._thread.submit(write_state, self._folder, state)

    def wait(self) -> None:
        """Return when all is written; raises `RunnerError` if it could not be."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Write what is still to be written, and end."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()


def write_state(folder: Path, state: State) -> None:
    """Write `state` as `folder`/state-<step>.npz, then remove all but the newest.

    The file is NumPy's own, a zip archive with a checksum for every array. A kill at any moment leaves the states
    before it. Raises `RunnerError` if it cannot be written.
    """
    dtypes = {name: array.dtype.name for name, array in state.arrays.items()}
    document = json.dumps({"values": state.document, "dtypes": dtypes}).encode()
    parts: dict[str, Any] = {DOCUMENT: np.frombuffer(document, np.uint8), **state.arrays}
    with replacing(folder / f"state-{state.step:012d}.npz", overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez(file, **parts)
    for _, old in list(_files(folder))[KEPT:]:
        old.unlink(missing_ok=True)


def read_state(folder: Path) -> State | None:
    """The newest whole state in `folder`; None if there is none. A damaged one is passed over, with a warning."""
    for step, path in _files(folder):
        try:
            return _read(step, path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
            log.warning("%s is damaged (%s) and is not used; going on from the state before it", path, error)
    return None


def drop_states(folder: Path, after: int) -> None:
    """Remove the states of more than `after` steps: they are damaged, or of a training that was not gone on with."""
    for step, path in _files(folder):
        if step > after:
            with suppress(OSError):
                path.unlink()


def _read(step: int, path: Path) -> State:
    # Opened here: NumPy leaves a damaged file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        document = json.loads(archive[DOCUMENT].tobytes())
        # bfloat16 and others like it are bytes to NumPy's format, and get their name back here.
        arrays = {name: archive[name].view(np.dtype(dtype)) for name, dtype in document["dtypes"].items()}
    return State(step, arrays, document["values"])


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    """The states in `folder` by their number of steps, the newest first."""
    found = [(int(match[1]), path) for path in folder.glob("state-*.npz") if (match := FILE.fullmatch(path.name))]
    yield from sorted(found, reverse=True)
