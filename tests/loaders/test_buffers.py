"""Memory for batches: used again, but never while anyone can still see it."""

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.loaders import buffers
from runner.loaders.buffers import ALIGNMENT, KEPT_BUFFERS, LARGEST_BYTES, aligned_bytes

SIZE = 100_000


@pytest.fixture(autouse=True)
def none_free():
    gc.collect()
    buffers._free.clear()


def place(array):
    return array.ctypes.data


def test_unreferenced_memory_is_reused():
    first = aligned_bytes(SIZE)
    where = place(first)
    del first
    assert place(aligned_bytes(SIZE)) == where


def test_memory_with_a_nested_view_is_not_reused():
    first = aligned_bytes(SIZE)
    held = first.view(np.float32).reshape(-1, 4)[3:][:, 1]
    held[...] = 7
    del first
    for _ in range(20):
        aligned_bytes(SIZE)[...] = 1
    assert (held == 7).all()


def test_memory_of_another_size_is_not_used():
    del_me = aligned_bytes(SIZE)
    del del_me
    assert len(aligned_bytes(SIZE + 1)) == SIZE + 1


def test_few_buffers_wait_and_no_large_ones():
    many = [aligned_bytes(SIZE) for _ in range(20)]
    del many
    assert len(buffers._free) == KEPT_BUFFERS
    buffers._free.clear()
    aligned_bytes(LARGEST_BYTES)  # the alignment makes it larger
    assert not buffers._free


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=40))
def test_no_two_arrays_that_live_share_memory(steps):
    living = []
    for number, (size, drop) in enumerate(steps):
        if drop and living:
            living.pop(0)
        array = aligned_bytes(size * 1000)
        assert place(array) % ALIGNMENT == 0
        array[...] = number
        living.append((number, array))
    assert all((array == number).all() for number, array in living)


def test_tensor_keeps_the_batch_it_was_made_of():
    jax = pytest.importorskip("jax")
    made = []
    for number in range(20):
        array = aligned_bytes(SIZE)
        array[...] = number
        made.append(jax.device_put(array))
        del array
    assert [int(np.asarray(tensor).max()) for tensor in made] == list(range(20))
