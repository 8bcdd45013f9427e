"""Memory that processes share, and that leaves nothing behind."""

import gc
import multiprocessing
import os

import numpy as np

from runner.shared_memory import SharedArray


def write(shared):
    shared.array[1, 2] = 7


def test_parent_and_child_share_writes():
    shared = SharedArray((3, 4), np.dtype(np.float32))
    assert not shared.array.any()
    child = multiprocessing.get_context("spawn").Process(target=write, args=(shared,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert np.argwhere(shared.array).tolist() == [[1, 2]]


def test_array_of_nothing_can_be_made():
    assert SharedArray((0, 4), np.dtype(np.uint8)).array.shape == (0, 4)


def test_no_descriptor_is_left():
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        SharedArray((10,), np.dtype(np.uint8))
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
