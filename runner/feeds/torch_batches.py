"""Batches as tensors of PyTorch, the next one on its way to the GPU while a step is computed."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from runner.feeds.delivery import KerasBatch
from runner.loaders.timing import TRANSFER, Clock

AHEAD = 2
"""Batches on the GPU: the one that is given, and the next."""

ALIKE = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
"""What Keras makes of an array of these is a tensor of the same."""


class Begun(NamedTuple):
    """A batch that is being copied, since all was computed that came before, until it is there; both are events."""

    batch: KerasBatch
    computed: Any
    copied: Any


def tensors(batches: Iterator[KerasBatch], clock: Clock) -> Iterator[KerasBatch]:
    """The batches as Keras takes them on PyTorch; `clock` tells what bringing them to a GPU took.

    A tensor refers to the memory of its array, of which Keras would make a copy.
    """
    device = keras.ops.empty((0,)).device
    return ahead(batches, clock, device) if device.type == "cuda" else map(_in_place, batches)


def ahead(batches: Iterator[KerasBatch], clock: Clock, device: Any) -> Iterator[KerasBatch]:
    """The batches on `device`; while the step of one is computed, the next is copied.

    At most two steps are in flight: before a batch is given, the steps are waited for that its copy waited for.
    """
    begun: deque[Begun] = deque()
    while True:
        if begun:
            begun[0].computed.synchronize()
        with clock.waiting():
            while len(begun) < AHEAD and (batch := next(batches, None)) is not None:
                with clock.working(TRANSFER, len(batch[0])):
                    begun.append(_begin(batch, device))
            if not begun:
                return
            given = begun.popleft()
            with clock.working(TRANSFER, len(given.batch[0])):
                given.copied.synchronize()
        yield given.batch


def _begin(batch: KerasBatch, device: Any) -> Begun:
    """Begin to copy the batch.

    Its memory belongs to the copying stream, which first waits for what is to be computed so far: that may still read
    an earlier batch, given up here, in the same place.
    """
    import torch

    streams, copying = torch.get_device_module(device), _copying(device)
    computed, copied = streams.Event(), streams.Event()
    computed.record(streams.current_stream(device))
    copying.wait_event(computed)
    with streams.stream(copying):
        on_device = keras.tree.map_structure(functools.partial(_copy, device=device), _in_place(batch))
    copied.record(copying)
    return Begun(on_device, computed, copied)


@functools.cache
def _copying(device: Any) -> Any:
    """The stream that copies to `device`: one for good, for each keeps memory of its own."""
    import torch

    return torch.get_device_module(device).Stream(device)


def _copy(tensor: Any, *, device: Any) -> Any:
    """`tensor` on `device`, perhaps not yet; PyTorch itself keeps pinned memory until it was read."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        return tensor
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def _in_place(batch: KerasBatch) -> KerasBatch:
    """The batch with tensors that refer to the memory of its arrays; what is not such an array is left to Keras."""
    import torch

    def tensor(array: Any) -> Any:
        # PyTorch warns of memory that is read-only, and knows no steps backwards and no foreign byte order.
        shares = isinstance(array, np.ndarray) and array.flags.carray and array.dtype.isnative
        return torch.from_numpy(array) if shares and array.dtype.name in ALIKE else array

    in_place: KerasBatch = keras.tree.map_structure(tensor, batch)
    return in_place
