"""The order of samples by file and offset: the one that sorting by both keys gives, whatever the numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.data.place_order import by_place

STEPS = st.sampled_from([1, 512, 2**20, 2**52 + 1])  # the last ones leave no room for one number
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), max_size=40)


@given(ROWS, STEPS, st.sampled_from([1, 9_000]))
def test_order_is_by_file_offset_index(rows, step, distance):
    file, offset = np.array(rows, np.int64).reshape(-1, 2).T
    file, offset = file.astype(np.int32) * distance, offset * step
    indices, offsets = by_place(file, offset)
    assert indices.tolist() == np.lexsort((offset, file)).tolist()
    assert offsets.tolist() == offset[indices].tolist()
    assert (indices.dtype, offsets.dtype) == (np.int32, np.int64)


@pytest.mark.parametrize("step", [512, 2**50 + 1])
def test_order_of_the_files_is_kept(step):
    file, offset = np.array([0, 0, 1, 1, 3], np.int32), np.array([1, 2, 1, 1, 0]) * step
    indices, offsets = by_place(file, offset)
    assert (indices.tolist(), offsets.tolist()) == ([0, 1, 2, 3, 4], offset.tolist())
