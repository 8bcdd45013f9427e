"""Batches as PyTorch tensors; the next one is copied to the GPU during a step."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from runner.feeds.delivery import KerasBatch
from runner.fields import num_rows
from runner.loaders.timing import TRANSFER, Clock

AHEAD = 2
"""Batches on the GPU: the current one and the next."""

SAME_DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
"""Dtypes that Keras keeps when it makes a tensor of an array."""


class CopyingBatch(NamedTuple):
    """A batch that is being copied. Events: all earlier steps are `computed`; the copy is `copied`."""

    batch: KerasBatch
    computed: Any
    copied: Any


def tensors(batches: Iterator[KerasBatch], clock: Clock) -> Iterator[KerasBatch]:
    """The batches as PyTorch tensors; adds the time of copying to a GPU to `clock`.

    A tensor shares the memory of its array; Keras itself would copy it.
    """
    device = keras.ops.empty((0,)).device
    return ahead(batches, clock, device) if device.type == "cuda" else map(_in_place, batches)


def ahead(batches: Iterator[KerasBatch], clock: Clock, device: Any) -> Iterator[KerasBatch]:
    """The batches on `device`; the next one is copied during a step.

    At most two steps are in flight: a batch is delivered after the steps that its copy waited for.
    """
    begun: deque[CopyingBatch] = deque()
    while True:
        if begun:
            begun[0].computed.synchronize()
        with clock.waiting():
            while len(begun) < AHEAD and (batch := next(batches, None)) is not None:
                with clock.working(TRANSFER, num_rows(batch[0])):
                    begun.append(_begin(batch, device))
            if not begun:
                return
            given = begun.popleft()
            with clock.working(TRANSFER, num_rows(given.batch[0])):
                given.copied.synchronize()
        yield given.batch


def _begin(batch: KerasBatch, device: Any) -> CopyingBatch:
    """Start to copy the batch.

    Its memory belongs to the copying stream. That stream first waits for all steps so far, because they may still read
    an earlier batch in the same memory.
    """
    import torch

    streams, copying = torch.get_device_module(device), _copying(device)
    computed, copied = streams.Event(), streams.Event()
    computed.record(streams.current_stream(device))
    copying.wait_event(computed)
    with streams.stream(copying):
        on_device = keras.tree.map_structure(functools.partial(_copy, device=device), _in_place(batch))
    copied.record(copying)
    return CopyingBatch(on_device, computed, copied)


@functools.cache
def _copying(device: Any) -> Any:
    """The stream that copies to `device`: only one, because each stream keeps memory of its own."""
    import torch

    return torch.get_device_module(device).Stream(device)


def _copy(tensor: Any, *, device: Any) -> Any:
    """`tensor` on `device`, copied asynchronously; PyTorch keeps pinned memory until it was read."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        return tensor
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def _in_place(batch: KerasBatch) -> KerasBatch:
    """The batch with tensors that share the memory of its arrays; Keras converts all other values."""
    import torch

    def tensor(array: Any) -> Any:
        # PyTorch warns about read-only memory, and supports neither negative strides nor a foreign byte order.
        shares = isinstance(array, np.ndarray) and array.flags.carray and array.dtype.isnative
        return torch.from_numpy(array) if shares and array.dtype.name in SAME_DTYPES else array

    in_place: KerasBatch = keras.tree.map_structure(tensor, batch)
    return in_place
