"""States of a training, from which a run resumes: written next to the state before, checked when they are read."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Array
from runner.records.files import replacing

KEPT = 2
"""The number of states kept: if the newest is damaged, the one before is used."""

DOCUMENT = "document"
FILE = re.compile(r"state-(\d{12})\.npz")

log = logging.getLogger("runner.state")


@dataclass(frozen=True)
class State:
    """Everything the rest of a training depends on, after `step` steps: arrays by name, and JSON values.

    `is_moved` says that its file has another step, because an epoch had another number of steps.
    """

    step: int
    arrays: Mapping[str, Array]
    document: Mapping[str, Any]
    is_moved: bool = False

    @property
    def awaits_validation(self) -> bool:
        """Whether the last epoch is trained, and its validation is still to come."""
        return self.document["counts"].get("epoch_logs") is not None

    def done_epochs(self, steps_per_epoch: int) -> int:
        """The number of epochs that are done, validation included; one that a callback stopped is done as well."""
        if self.awaits_validation:
            return (self.step - 1) // steps_per_epoch
        return -(-self.step // steps_per_epoch) if self.document["counts"]["stopped"] else self.step // steps_per_epoch

    def moved_to(self, steps_per_epoch: int) -> State:
        """The state at the same place of the same epoch where an epoch has `steps_per_epoch` steps.

        `moved` among its counts is how many of its steps were never done. A state of an earlier version does not say
        how long its epochs were, and stays.
        """
        counts = self.document["counts"]
        before = counts.get("steps_per_epoch", steps_per_epoch)
        if before == steps_per_epoch:
            return self
        epoch, done = divmod(self.step, before)
        step = epoch * steps_per_epoch + done * steps_per_epoch // before
        moved = counts.get("moved", 0) + step - self.step
        counts = {**counts, "steps_per_epoch": steps_per_epoch, "moved": moved}
        return replace(self, step=step, document={**self.document, "counts": counts}, is_moved=True)


class StateWriter:
    """Writes states into a folder, one after the other, in its own thread.

    Training continues while a state is written; the next `write` waits for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._pending: Future[None] | None = None

    def write(self, state: State) -> None:
        """Start to write `state`, as soon as the state before is written.

        The arrays must not change after this call. Raises `RunnerError` if the state before could not be written.
        """
        self.wait()
        self._pending = self._thread.submit(write_state, self._folder, state)

    def wait(self) -> None:
        """Wait until the last state is written; raises `RunnerError` if it could not be."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait for the last state, and end the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()


def write_state(folder: Path, state: State) -> None:
    """Write `state` as `folder`/state-<step>.npz, then remove all but the newest `KEPT`.

    The file is NumPy's, a zip archive with a checksum for every array. A kill at any moment leaves the states before.
    Raises `RunnerError` if the file cannot be written.
    """
    _write(folder, state)
    for _, old in list(_files(folder))[KEPT:]:
        old.unlink(missing_ok=True)


def _write(folder: Path, state: State) -> None:
    dtypes = {name: array.dtype.name for name, array in state.arrays.items()}
    document = json.dumps({"values": state.document, "dtypes": dtypes}).encode()
    parts: dict[str, Any] = {DOCUMENT: np.frombuffer(document, np.uint8), **state.arrays}
    with replacing(folder / f"state-{state.step:012d}.npz", overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez(file, **parts)


def read_state(folder: Path) -> State | None:
    """The newest intact state in `folder`; None if there is none. A damaged one is skipped, with a warning."""
    for step, path in _files(folder):
        try:
            return _read(step, path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
            log.warning("%s is damaged (%s) and is skipped; resuming from the state before it", path, error)
    return None


def newest_step(folder: Path) -> int | None:
    """The steps that were done at the newest state in `folder`; None if there is none."""
    return next((step for step, _ in _files(folder)), None)


def keep_states(folder: Path, start: State | None) -> None:
    """Leave the states up to `start`, from which training continues: later ones are damaged, or were not resumed from.

    A state that was moved is written at its new step, in place of all others, whose steps are those of longer or
    shorter epochs.
    """
    if start is not None and start.is_moved:
        _write(folder, start)
    last = 0 if start is None else start.step
    for step, path in _files(folder):
        if step > last or (start is not None and start.is_moved and step < last):
            with suppress(OSError):
                path.unlink()


def _read(step: int, path: Path) -> State:
    # Opened here: NumPy leaves a damaged file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        document = json.loads(archive[DOCUMENT].tobytes())
        # NumPy's format stores bfloat16 and similar types as bytes; the view restores their dtype.
        arrays = {name: archive[name].view(np.dtype(dtype)) for name, dtype in document["dtypes"].items()}
    return State(step, arrays, document["values"])


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    """The states in `folder` with their numbers of steps, the newest first."""
    found = [(int(match[1]), path) for path in folder.glob("state-*.npz") if (match := FILE.fullmatch(path.name))]
    yield from sorted(found, reverse=True)
