"""From sample indices to a batch.

    allocate(spec, n) ─> reader.fill(epoch, indices, out) ─> gather(x, filled) ─> complete(source, indices, x)

`fill` runs wherever a strategy reads: in the caller's thread, in worker threads on pieces of a batch, in worker
processes on shared memory. That is why the strategies agree.
"""

from __future__ import annotations

from runner.batch import Array, ArraySpec, Batch, Indices
from runner.data.ids import names_at
from runner.data.source import Source
from runner.loaders.buffers import aligned_bytes
from runner.loaders.clock import Clock
from runner.loaders.reader import Reader
from runner.loaders.rows import Rows, gather


def allocate(spec: ArraySpec, num_samples: int) -> Array:
    """An uninitialised array of shape `(num_samples, *spec.shape)` that begins on an aligned address."""
    return aligned_bytes(num_samples * spec.num_bytes).view(spec.dtype).reshape((num_samples, *spec.shape))


def complete(source: Source, indices: Indices, x: Array) -> Batch:
    """The batch of the samples at `indices`, whose arrays are the rows of `x`."""
    labels = source.labels
    weights = None if labels.weights is None else labels.weights[indices]
    return Batch(x, labels.encode(indices, x), weights, tuple(names_at(source.ids, indices)))


def read_rows(reader: Reader, epoch: int, indices: Indices, clock: Clock) -> Rows:
    """The samples at `indices` as they are in `epoch`, read here and now."""
    x = allocate(reader.spec, len(indices))
    filled = reader.fill(epoch, indices, x)
    clock.note(filled.work)
    return gather(x, [filled])
