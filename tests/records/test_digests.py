"""Digests are equal exactly when what they stand for is."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.records.digests import IdStream, data_fingerprint, weights_digest

IDS = st.lists(st.text("ab\0\n/", max_size=4), max_size=6)


def stream_of(*batches):
    stream = IdStream()
    for batch in batches:
        stream.update(batch)
    return stream.hexdigest()


@given(IDS, IDS)
def test_id_stream_is_equal_for_equal_ids_only(first, second):
    assert (stream_of(first) == stream_of(second)) == (first == second)


@given(IDS, IDS)
def test_id_stream_does_not_depend_on_batches(first, second):
    assert stream_of(first, second) == stream_of(first + second)


@given(IDS, IDS)
def test_id_stream_goes_on_from_its_digest(first, second):
    stream = IdStream(stream_of(first))
    stream.update(second)
    assert stream.hexdigest() == stream_of(first + second)


def test_id_stream_stays_the_same_across_versions():
    # Recorded runs are compared by it: a change here makes every old digest differ.
    pinned = "74dac68430bc9b652d6af697de149085cdd91ee04994827a80d79bb41dbfa10d"
    assert stream_of(["a/1.png", "ß", "caf\udce9"]) == pinned


CHANGES = [
    [("w", np.zeros((2, 3), np.float32))],
    [("v", np.zeros((2, 3), np.float32))],
    [("w", np.zeros((3, 2), np.float32))],
    [("w", np.zeros((2, 3), np.int32))],
    [("w", np.zeros((2, 3), ">f4"))],
    [("w", np.full((2, 3), -0.0, np.float32))],
    [("w", np.zeros((2, 3), ml_dtypes.bfloat16))],
    [("w", np.zeros((2, 3), np.float16))],
    [("w", np.zeros((1, 3), np.float32)), ("w", np.zeros((1, 3), np.float32))],
    [("w", np.zeros((), np.float32))],
    [],
]


def test_weights_digest_sees_every_attribute():
    digests = [weights_digest(arrays) for arrays in CHANGES]
    assert len(set(digests)) == len(CHANGES)


@pytest.mark.parametrize("turn", [np.asfortranarray, np.ascontiguousarray, np.copy])
def test_weights_digest_ignores_memory_layout(turn):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert weights_digest([("w", turn(array))]) == weights_digest([("w", array)])


def test_weights_digest_depends_on_the_order():
    a, b = ("a", np.zeros(1)), ("b", np.zeros(1))
    assert weights_digest([a, b]) != weights_digest([b, a])


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 20), st.integers(-5, 20)), max_size=4))
def test_equal_entries_have_equal_fingerprints(entries):
    assert data_fingerprint(entries) == data_fingerprint(iter(entries))


def test_data_fingerprint_sees_every_change():
    changes = [
        [("a", 1, 2)],
        [("b", 1, 2)],
        [("a", 12, 2)],
        [("a", 1, 22)],
        [("a", 1, 2), ("b", 1, 2)],
        [("b", 1, 2), ("a", 1, 2)],
        [],
    ]
    assert len({data_fingerprint(entries) for entries in changes}) == len(changes)
