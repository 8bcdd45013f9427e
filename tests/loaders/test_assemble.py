"""From indices to arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runner.batch import ArraySpec
from runner.loaders.buffers import ALIGNMENT
from runner.loaders.reader import allocate

SHAPES = st.lists(st.integers(0, 7), max_size=3).map(tuple)
DTYPES = st.sampled_from(["uint8", "uint16", "float32", "float64"]).map(np.dtype)


@given(SHAPES, DTYPES, st.integers(0, 50))
def test_allocated_arrays_are_aligned(shape, dtype, num_samples):
    array = allocate(ArraySpec(shape, dtype), num_samples)
    array[...] = 1
    assert (array.shape, array.dtype) == ((num_samples, *shape), dtype)
    assert array.size == 0 or array.ctypes.data % ALIGNMENT == 0
    assert array.flags.c_contiguous
