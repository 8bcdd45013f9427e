from concurrent.futures import ThreadPoolExecutor

import numpy as np

from runner.images.resize import KEPT_BYTES, scratch_array, scratch_bytes


def test_scratch_is_kept_between_calls_and_grows():
    first = scratch_bytes("kept", 100)
    assert np.shares_memory(scratch_bytes("kept", 60), first)
    assert scratch_bytes("kept", 200).size >= 200


def test_scratch_has_requested_shape_and_dtype():
    array = scratch_array("shaped", (2, 3), np.dtype(np.float32))
    assert (array.shape, array.dtype) == ((2, 3), np.float32)


def test_scratch_differs_between_threads():
    mine = scratch_bytes("thread", 100)
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(scratch_bytes, "thread", 100).result()
    assert not np.shares_memory(mine, theirs)


def test_scratch_keeps_nothing_beyond_its_limit():
    huge = scratch_bytes("huge", KEPT_BYTES + 1)
    assert not np.shares_memory(huge, scratch_bytes("huge", 10))
