"""The one way from sample indices to the arrays of a batch, which every strategy takes.

    allocate(spec, n) ─> fill(source, indices, out) ─> complete(source, indices, x)

`fill` runs wherever a strategy reads: in the caller's thread, in worker threads on pieces of a batch, in worker
processes on shared memory. That is why the strategies agree.
"""

from __future__ import annotations

import math
from itertools import pairwise

from runner.loaders.buffers import aligned_bytes
from runner.samples import Array, ArraySpec, Batch, Indices
from runner.sources.source import Source, read_many


def allocate(spec: ArraySpec, num_samples: int) -> Array:
    """An uninitialised array of shape `(num_samples, *spec.shape)` that begins on an aligned address."""
    return aligned_bytes(num_samples * spec.num_bytes).view(spec.dtype).reshape((num_samples, *spec.shape))


def fill(source: Source, indices: Indices, out: Array) -> None:
    """Read the samples at `indices` into the rows of `out`, shape `(len(indices), *spec.shape)`."""
    read_many(source, indices, out)


def complete(source: Source, indices: Indices, x: Array) -> Batch:
    """The batch of the samples at `indices`, whose arrays are the rows of `x`."""
    ids, labels = source.ids, source.labels
    weights = None if labels.weights is None else labels.weights[indices]
    return Batch(x, labels.encode(indices, x), weights, tuple([ids[index] for index in indices.tolist()]))


def assemble(source: Source, indices: Indices) -> Batch:
    """The batch of the samples at `indices`, read here and now."""
    x = allocate(source.spec, len(indices))
    fill(source, indices, x)
    return complete(source, indices, x)


def pieces(indices: Indices, most: int) -> list[tuple[int, Indices]]:
    """`indices` in even pieces of at most `most`, each with the row it begins at."""
    count = math.ceil(len(indices) / most)
    bounds = [len(indices) * piece // count for piece in range(count + 1)]
    return [(start, indices[start:end]) for start, end in pairwise(bounds)]
