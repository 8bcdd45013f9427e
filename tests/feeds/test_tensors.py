"""Batches as tensors of PyTorch; on a CPU the way to a GPU is walked with its streams left out."""

import numpy as np
import pytest

from runner.feeds.torch_batches import _in_place, ahead
from runner.loaders.buffers import aligned_bytes
from runner.loaders.timing import Clock

torch = pytest.importorskip("torch")
CPU = torch.device("cpu")


def batches(count, asked):
    for step in range(count):
        asked.append(step)
        yield np.full((2, 3), step, np.uint8), {"a": np.full(2, step, np.float32)}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_next_batch_starts_during_the_current(count):
    asked, clock, given = [], Clock(), []
    for step, (x, y) in enumerate(ahead(batches(count, asked), clock, CPU)):
        assert asked[-1] == min(step + 1, count - 1)
        given.append((int(x.min()), int(x.max()), float(y["a"].max())))
    assert given == [(step, step, step) for step in range(count)]
    assert asked == list(range(count))


def test_transfer_is_part_of_the_wait():
    clock = Clock()
    list(ahead(batches(50, []), clock, CPU))
    wait = clock.wait(clock.waited_seconds, 1.0)
    assert 0 < wait.reasons["transfer"] < wait.seconds


def test_unrequested_batch_is_not_started():
    asked = []
    given = ahead(batches(10, asked), Clock(), CPU)
    next(given)
    given.close()
    assert asked == [0, 1]


def test_error_of_a_batch_comes_out_as_it_is():
    def failing():
        yield from batches(1, [])
        raise OSError("sample 5 is bad")

    with pytest.raises(OSError, match="sample 5 is bad"):
        list(ahead(failing(), Clock(), CPU))


def test_tensor_refers_to_the_memory_of_its_array():
    x = aligned_bytes(64).reshape(4, 16)
    (tensor,) = _in_place((x,))
    x[...] = 7
    assert (tensor == 7).all()
    where = x.ctypes.data
    del x
    assert aligned_bytes(64).ctypes.data != where
    assert (tensor == 7).all()


READ_ONLY = np.zeros(3, np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "array",
    [READ_ONLY, np.zeros(3, ">f4"), np.zeros(3, np.uint32), np.zeros(6, np.float32)[::-1], np.zeros((2, 4))[:, 1]],
    ids=["read only", "big endian", "uint32", "backwards", "apart"],
)
def test_unshareable_arrays_are_left_to_keras(array):
    assert _in_place((array,))[0] is array
