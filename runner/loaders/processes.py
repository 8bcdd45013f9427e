"""Worker processes, for user code that holds the GIL.

Workers never import TensorFlow, and write arrays into shared memory; only indices and errors are pickled.
The parent copies a finished batch, so the block of shared memory is free again at once and the batch may live as long
as the caller needs it.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import secrets
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np

from runner.batch import Indices
from runner.errors import ConfigurationError, WorkerError
from runner.fields import SampleSpec
from runner.isolated import IsolatedProcess, is_of_script
from runner.loaders.buffers import aligned_bytes
from runner.loaders.draw import Draw
from runner.loaders.fetch_ahead import FetchAhead, places_of
from runner.loaders.reader import ReadPiece, ReadResult, SampleReader, gather
from runner.loaders.threads import await_all
from runner.loaders.timing import Clock
from runner.loaders.window_buffers import Caching
from runner.loaders.window_bytes import Runs, WindowBytes
from runner.loaders.workers import CLOSE_SECONDS, pieces
from runner.messages import format_bytes
from runner.place import Fetched, using_fetched
from runner.shared_memory import SharedArray

SHARED_MEMORY = Path("/dev/shm")
"""Shared memory on Linux; Docker gives a container 64 MB by default."""

MOST_FETCHED = 1 << 26
"""The most bytes that a process has fetched and not decoded."""

BLOCK_NAME = "keras-runner"
"""Prefix of a block's name; the process id of its owner follows."""


@dataclass
class _Block:
    """Shared memory for one batch, and its users."""

    memory: SharedMemory
    futures: list[Future[ReadPiece]] = field(default_factory=list)
    wanted: bool = True

    @property
    def is_free(self) -> bool:
        """Whether the parent needs nothing in it and no process writes to it."""
        return not self.wanted and all(future.done() for future in self.futures)


@dataclass(frozen=True)
class PendingProcesses:
    """A batch that processes are reading into shared memory."""

    block: _Block
    num_samples: int
    spec: SampleSpec
    timeout_seconds: float
    clock: Clock

    @property
    def futures(self) -> list[Future[ReadPiece]]:
        """Its pieces."""
        return self.block.futures

    def result(self) -> ReadResult:
        """Wait for all pieces; copy the batch out of shared memory."""
        with _reporting_death(self.clock.processes):
            filled = await_all(self.block.futures, self.timeout_seconds, self.clock)
        with self.clock.working("assemble", self.num_samples):
            buffer = aligned_bytes(self.spec.buffer_bytes(self.num_samples))
            buffer[:] = np.ndarray(buffer.shape, np.uint8, self.block.memory.buf)
            x = self.spec.view(buffer, self.num_samples)
        self.block.wanted = False
        return gather(x, filled)

    def cancel(self) -> None:
        """Give the batch up; pieces that are not being read are never read."""
        for future in self.block.futures:
            future.cancel()
        self.block.wanted = False


def refuse_unsendable(reader: SampleReader) -> None:
    """Raise `ConfigurationError` if worker processes cannot get the reader, which holds objects of the user's."""
    try:
        is_of_script(reader)
    except Exception as error:  # pickle raises several kinds, and the user's own methods any
        raise ConfigurationError(
            "loader.use_multiprocessing=true sends the data and the transforms to processes by pickle, which failed: "
            f"{type(error).__name__}: {str(error).partition(chr(10))[0]}; make such an object where it is used, in "
            "read(index), leave it out in __getstate__, or set loader.use_multiprocessing=false"
        ) from error


class Processes:
    """A pool of spawned processes that read pieces of batches into shared memory; `windows` hold bytes of samples.

    `num_reads` is the number of reads of storage at once, over all processes; 0: one for each.
    """

    def __init__(
        self,
        reader: SampleReader,
        num_workers: int,
        timeout_seconds: float,
        clock: Clock,
        windows: Sequence[SharedArray] = (),
        num_reads: int = 0,
    ) -> None:
        self._spec, self._num_workers = reader.spec, num_workers
        self._timeout_seconds, self._clock = timeout_seconds, clock
        self._blocks: list[_Block] = []
        self._lock = threading.Lock()
        self._context = _RememberingContext(imports_script=is_of_script(reader))
        clock.processes = self._context.children
        state = (reader, windows, math.ceil(num_reads / num_workers))
        self._executor = ProcessPoolExecutor(num_workers, self._context, initializer=_open, initargs=state)
        # Runs at `close`, when the pool is garbage, or at the interpreter's exit.
        self._free = weakref.finalize(self, _free, self._blocks)

    def submit(self, draw: Draw, fetched: Fetched | None = None) -> PendingProcesses:
        """Start to read the samples of `draw`.

        Raises `WorkerError` if a worker died or shared memory has no room, `RuntimeError` once the pool is closed.
        """
        block = self._take_block(self._spec.buffer_bytes(len(draw)))
        pending = PendingProcesses(block, len(draw), self._spec, self._timeout_seconds, self._clock)
        try:
            with _reporting_death(self._context.children):
                name, size = block.memory.name, len(draw)
                runs = fetched.runs if isinstance(fetched, WindowBytes) else ()
                for row, piece in pieces(draw, self._num_workers):
                    block.futures.append(self._executor.submit(_fill_shared, name, size, row, piece, runs))
        except BaseException:
            pending.cancel()
            raise
        return pending

    def _take_block(self, num_bytes: int) -> _Block:
        with self._lock:
            for block in self._blocks:
                if block.is_free and block.memory.size >= num_bytes:
                    block.wanted, block.futures = True, []
                    return block
            block = _Block(SharedMemory(f"{BLOCK_NAME}-{os.getpid()}-{secrets.token_hex(4)}", True, max(1, num_bytes)))
            self._blocks.append(block)
            _reserve(block.memory)
            return block

    def close(self) -> None:
        """Stop the processes, even those that hang, and free the shared memory."""
        killer = threading.Timer(CLOSE_SECONDS, self._context.kill)
        killer.start()
        self._executor.shutdown(cancel_futures=True)
        killer.cancel()
        killer.join()
        self._free()


class _RememberingContext(SpawnContext):
    """Spawns processes and keeps a list of them, to kill one that hangs."""

    def __init__(self, *, imports_script: bool) -> None:
        super().__init__()
        self.children: list[IsolatedProcess] = []
        self._imports_script = imports_script

    def Process(self, *args: Any, **options: Any) -> IsolatedProcess:  # type: ignore[override]  # noqa: N802
        """A process of the pool, which starts them one by one, as work arrives."""
        child = IsolatedProcess(*args, **options)
        child.imports_script = self._imports_script
        self.children.append(child)
        return child

    def kill(self) -> None:
        """Kill all processes."""
        for child in self.children:
            child.kill()


def _reserve(memory: SharedMemory) -> None:
    """Allocate the memory now: the system would kill a worker that writes to missing memory, without a message."""
    file = SHARED_MEMORY / memory.name
    if not file.exists():  # not on Linux
        return
    try:
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, memory.size)
    except OSError as error:
        raise WorkerError(
            f"{SHARED_MEMORY} has no room for a batch of {format_bytes(memory.size)}; enlarge it (docker run "
            "--shm-size=8g), lower loader.max_queue_size or loader.batch_size, or use threads: "
            "loader.use_multiprocessing=false"
        ) from error


def _free(blocks: Sequence[_Block]) -> None:
    for block in blocks:
        block.memory.close()
        block.memory.unlink()


@contextlib.contextmanager
def _reporting_death(processes: Sequence[IsolatedProcess]) -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        message = (
            "a worker process died (killed by the system, perhaps for memory?); lower loader.workers or "
            "loader.max_queue_size, or use threads: loader.use_multiprocessing=false"
        )
        if any(process.imports_script for process in processes):
            message += (
                ". Your script has objects that the workers need, so each imports it: call the runner below "
                'if __name__ == "__main__":'
            )
        raise WorkerError(message) from error


class _Worker:
    """State of a worker process between its tasks."""

    reader: SampleReader
    blocks: dict[str, SharedMemory]
    windows: Sequence[SharedArray]
    ahead: FetchAhead | None


def _open(reader: SampleReader, windows: Sequence[SharedArray], num_reads: int) -> None:
    _Worker.reader, _Worker.blocks, _Worker.windows = reader, {}, windows
    _Worker.ahead = FetchAhead(num_reads, MOST_FETCHED) if num_reads else None
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the parent is gone. A worker has both ends of the pool's queue open, so reading never fails."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _fill_shared(name: str, num_samples: int, start: int, draw: Draw, runs: Sequence[Runs]) -> ReadPiece:
    """Fill the rows from `start` on in a block for `num_samples` samples, whose bytes may be in `runs` of windows."""
    block = _Worker.blocks.get(name)
    if block is None:
        block = _Worker.blocks[name] = SharedMemory(name)
    spec = _Worker.reader.spec
    rows = spec.view(np.ndarray((spec.buffer_bytes(num_samples),), np.uint8, block.buf), num_samples)
    with _fetched(draw.indices, runs):
        return _Worker.reader.fill(draw, rows[start : start + len(draw)])


@contextlib.contextmanager
def _fetched(indices: Indices, runs: Sequence[Runs]) -> Iterator[None]:
    """Within the block, take bytes from windows, or those that are fetched many at once while others are decoded."""
    ahead, source = _Worker.ahead, _Worker.reader.source
    if runs or ahead is None or (isinstance(source, Caching) and source.is_stored(indices)):
        with using_fetched(WindowBytes(runs, _Worker.windows) if runs else None):
            yield
        return
    places = ahead.submit(places_of(source, indices))
    try:
        with using_fetched(places):
            yield
    finally:
        places.discard()
