"""Worker processes: for user code that holds the GIL.

Workers are started fresh (spawned), never import TensorFlow, and write pixels into shared memory; only indices and
errors are pickled. The parent copies a finished array out, so that a block of shared memory is free again at once
and a batch may be kept for as long as anyone likes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from runner.errors import WorkerError
from runner.loaders.assemble import allocate, fill, pieces
from runner.loaders.threads import await_all
from runner.loaders.workers import PIECE
from runner.samples import Array, Indices
from runner.sources.source import Source


@dataclass(frozen=True)
class PendingProcesses:
    """A batch that processes are reading into a block of shared memory."""

    pool: Processes
    block: SharedMemory
    num_samples: int
    futures: list[Future[None]]

    def result(self) -> Array:
        """A copy of the array, once all pieces are read."""
        try:
            await_all(self.futures, self.pool.timeout_seconds)
        except BrokenProcessPool as error:
            raise WorkerError(
                "a worker process died while it read samples (killed by the system, perhaps for memory?); "
                "lower loader.workers or loader.max_queue_size, or use threads: loader.use_multiprocessing=false"
            ) from error
        spec = self.pool.source.spec
        x = allocate(spec, self.num_samples)
        x[...] = np.ndarray(x.shape, spec.dtype, self.block.buf)
        self.pool.free.append(self.block)
        return x

    def cancel(self) -> None:
        """Give the batch up; its block is free once no process writes to it."""
        for future in self.futures:
            future.cancel()
        self.pool.abandoned.append(self)


class Processes:
    """A pool of spawned processes that read pieces of batches into shared memory."""

    def __init__(self, source: Source, num_workers: int, timeout_seconds: float) -> None:
        self.source, self.timeout_seconds = source, timeout_seconds
        self.free: list[SharedMemory] = []
        self.abandoned: list[PendingProcesses] = []
        self._blocks: list[SharedMemory] = []
        self._children: list[multiprocessing.process.BaseProcess] = []
        self._executor = ProcessPoolExecutor(
            num_workers, multiprocessing.get_context("spawn"), initializer=_open, initargs=(source,)
        )

    def submit(self, indices: Indices) -> PendingProcesses:
        """Begin to read the samples at `indices`."""
        block = self._block(len(indices) * self.source.spec.num_bytes)
        with self._watched_start():
            futures = [
                self._executor.submit(_fill_shared, block.name, start, piece) for start, piece in pieces(indices, PIECE)
            ]
        return PendingProcesses(self, block, len(indices), futures)

    def _block(self, num_bytes: int) -> SharedMemory:
        done = [batch for batch in self.abandoned if all(future.done() for future in batch.futures)]
        self.abandoned = [batch for batch in self.abandoned if batch not in done]
        self.free += [batch.block for batch in done]
        for position, free in enumerate(self.free):
            if free.size >= num_bytes:
                return self.free.pop(position)
        block = SharedMemory(create=True, size=max(1, num_bytes))
        self._blocks.append(block)
        return block

    @contextlib.contextmanager
    def _watched_start(self) -> Iterator[None]:
        """Learn which processes the pool starts at its first task, so that `close` can end one that hangs."""
        before = set() if self._children else {child.pid for child in multiprocessing.active_children()}
        yield
        if not self._children:
            self._children = [child for child in multiprocessing.active_children() if child.pid not in before]

    def close(self) -> None:
        """Stop the processes, those that hang too, and free the shared memory."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.join(timeout=1.0)
            if child.is_alive():
                child.kill()
                child.join()
        for block in self._blocks:
            block.close()
            block.unlink()
        self._blocks, self.free, self.abandoned, self._children = [], [], [], []


class _Worker:
    """What a worker process keeps between its tasks."""

    source: Source
    blocks: dict[str, SharedMemory]


def _open(source: Source) -> None:
    _Worker.source, _Worker.blocks = source, {}
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker holds both ends of the pool's queue: it would wait for ever for a parent that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _fill_shared(name: str, start: int, indices: Indices) -> None:
    block = _Worker.blocks.get(name)
    if block is None:
        block = _Worker.blocks[name] = SharedMemory(name)
    spec = _Worker.source.spec
    rows = np.ndarray((start + len(indices), *spec.shape), spec.dtype, block.buf)
    fill(_Worker.source, indices, rows[start:])
